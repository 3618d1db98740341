"""An Airflow whose tasks run on Celery workers: PostgreSQL, Redis, two workers, all on this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository
from postgres_fixture import PostgresServer, connect
from scheduler_fixture import RealAirflow, running_airflow

HERE = Path(__file__).parent
WORKERS = ("worker-1", "worker-2")
_START_SECONDS = 30.0


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis server that keeps nothing, without the database's number; skipped where none is."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("MISSING: redis-server (Debian: apt-get install redis-server)")
    folder = tmp_path_factory.mktemp("redis")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([*command, "--dir", str(folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await_redis(port, process, folder / "redis.log")
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _await_redis(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import redis

    deadline = time.monotonic() + _START_SECONDS
    client = redis.Redis(port=port)
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Redis did not start: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            client.close()
            return


@dataclass
class Warehouse:
    """The database that is loaded into."""

    url: str

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""
        with closing(connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


@pytest.fixture(scope="session")
def warehouse(postgres: PostgresServer) -> Iterator[Warehouse]:
    """An empty database for the sink."""
    url = postgres.create_database()
    yield Warehouse(url)
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def celery_airflow(
    postgres: PostgresServer, redis_url: str, warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealAirflow]:
    """An Airflow with the CeleryExecutor and two workers of two tasks each."""
    if find_spec("airflow.providers.celery") is None:
        pytest.skip("MISSING: apache-airflow-providers-celery[redis]")
    from celery.backends import database

    if not hasattr(database, "retry"):  # the provider up to 3.26 imports it
        pytest.skip("MISSING: celery below 5.7, as apache-airflow-providers-celery needs it")
    root = tmp_path_factory.mktemp("celery")
    sources = GitRepository(root / "sources")
    sources.path.mkdir()
    sources.git("init", "--quiet", "--template=", "--initial-branch=main")
    shutil.copytree(HERE / "sources", sources.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    sources.commit(message="first")
    environ = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CELERY__BROKER_URL": f"{redis_url}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"{redis_url}/1",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
        # A worker that is lost is noticed by its tasks' missing heartbeats: after ten seconds instead of five minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__NILUS__CACHE_DIR": str(root / "cache"),
        "AIRFLOW__NILUS__ALLOWED_PROTOCOLS": "https,ssh,file",
        "AIRFLOW_VAR_NILUS_TEST_SOURCES": sources.url,
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "nilus", "extra": {"address": warehouse.url}}),
    }
    workers = {
        name: f"celery worker --celery-hostname {name} --concurrency 2 --pid {{home}}/{name}.pid".split()
        for name in WORKERS
    }
    with running_airflow(postgres, environ, workers) as airflow:
        airflow.add_dags(*sorted((HERE / "dags").glob("*.py")))
        yield airflow
