"""What the real Airflow of these tests is deployed with: repositories of sources, a lake, connections."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deployment_fixture import EXAMPLES, Deployment
from git_fixture import GitRepository
from postgres_fixture import PostgresServer
from scheduler_fixture import RealAirflow

HERE = Path(__file__).parent


@dataclass
class Shop:
    """The deployment of the real Airflow.

    Attributes:
        deployment: its cache and its lake.
        sources: the repository of the sources in this folder.
        examples: the repositories of the example sources.
        project: the repository whose history is loaded.
        lineage: the file that OpenLineage's events are written to.
        secrets: what must never be shown, by what it is.
    """

    deployment: Deployment
    sources: GitRepository
    examples: dict[str, GitRepository]
    project: GitRepository
    lineage: Path
    environ: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


def _repository(path: Path, files: Path | None = None) -> GitRepository:
    path.mkdir(parents=True)
    repository = GitRepository(path)
    repository.git("init", "--quiet", "--template=", "--initial-branch=main")
    if files is not None:
        shutil.copytree(files, path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        repository.commit(message="first")
    return repository


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Shop]:
    """The deployment of the real Airflow."""
    root = tmp_path_factory.mktemp("shop")
    examples = {
        folder.name: _repository(root / "examples" / folder.name, folder)
        for folder in sorted((EXAMPLES / "sources").iterdir())
        if folder.is_dir()
    }
    deployment = Deployment(cache=root / "cache", lake=root / "lake.duckdb")
    sources = _repository(root / "sources", HERE / "sources")
    shop = Shop(deployment, sources, examples, _repository(root / "project"), root / "lineage.json")
    shop.secrets = {
        "the token in source_env": "tok+en/of the=shop&api",
        "the key in the source's address": "key:of?the/address=",
        "the password of the sink's connection": "p@ss/w:rd%+ of#the?sink",
        "the private key in source_env": "-- BEGIN 'shop' KEY --\nfirst\\line\"of?it\n-- END --",
    }
    password = shop.secrets["the password of the sink's connection"]
    warehouse = postgres.create_database()
    postgres.execute(f"CREATE ROLE shopkeeper LOGIN PASSWORD '{password}'")
    postgres.execute(f'ALTER DATABASE "{warehouse.rpartition("/")[2]}" OWNER TO shopkeeper')
    connections: dict[str, Any] = {
        "lakehouse": {"conn_type": "generic", "host": str(deployment.lake)},
        "shop_api": {"conn_type": "http", "password": shop.secrets["the token in source_env"]},
        "warehouse": {
            "conn_type": "postgres",
            "host": postgres.host,
            "port": postgres.port,
            "login": "shopkeeper",
            "password": password,
            "schema": warehouse.rpartition("/")[2],
        },
        "shop_signing": {"conn_type": "generic", "password": shop.secrets["the private key in source_env"]},
    }
    shop.environ = {
        "AIRFLOW__NILUS__CACHE_DIR": str(deployment.cache),
        "AIRFLOW__NILUS__ALLOWED_PROTOCOLS": "https,ssh,http,file",
        "AIRFLOW_VAR_NILUS_EXAMPLES": (root / "examples").as_uri(),
        "AIRFLOW_VAR_NILUS_HISTORY_OF": str(shop.project.path),
        "AIRFLOW_VAR_NILUS_TEST_SOURCES": sources.url,
        "AIRFLOW_VAR_NILUS_TEST_LAKE": str(deployment.lake),
        "AIRFLOW_VAR_SHOP_KEY": shop.secrets["the key in the source's address"],
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
    }
    yield shop
    postgres.drop_database(warehouse)
    postgres.execute("DROP ROLE shopkeeper")


@pytest.fixture(scope="session")
def real_airflow_environ(shop: Shop) -> dict[str, str]:
    """See the fixture of this name in `scheduler_fixture`."""
    return shop.environ


@pytest.fixture(scope="session")
def airflow(real_airflow: RealAirflow) -> RealAirflow:
    """The real Airflow with all DAGs of these tests."""
    real_airflow.add_dags(
        EXAMPLES / "git_history.py", EXAMPLES / "backfill_window.py", *sorted((HERE / "dags").glob("*.py"))
    )
    return real_airflow
