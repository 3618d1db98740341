"""The same loads with every kind of catalog, and with warehouses on disk and in an object store.

The REST catalog is a server of the tests (see `catalog_server`); Glue and S3 are moto's server.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import Connection
from lake_reader import LakeReader

from airflow_provider_nilus.connections import resolve_sink
from nilus.errors import DestinationError
from nilus.runtime.sinks.lakehouse.catalog import Lake


def _module(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CatalogServer = _module("catalog_server").CatalogServer


def _amazon(s3):
    return {
        "client.access-key-id": s3.access_key,
        "client.secret-access-key": s3.secret_key,
        "client.region": s3.region,
        "s3.endpoint": s3.endpoint,
    }


@pytest.fixture
def catalog_server(s3, s3_bucket, tmp_path):
    properties = {"uri": f"sqlite:///{tmp_path}/server.sqlite", "warehouse": f"s3://{s3_bucket}/wh", **_amazon(s3)}
    with CatalogServer(properties, vended=_amazon(s3)).running() as server:
        yield server


@pytest.fixture
def make_lake(lake, request, tmp_path):
    """`make_lake("postgres" | "rest" | "glue")`: the task of `lake`, with the catalog of an Airflow connection."""

    def make(kind):
        fields, login = {"catalog": kind}, {}
        if kind == "postgres":
            uri = request.getfixturevalue("postgres_database").replace("postgresql://", "postgresql+psycopg2://")
            lake.reader = LakeReader({"uri": uri, "warehouse": f"file://{tmp_path}/wh"})
            fields = {"catalog": "sql", "catalog_uri": uri, "warehouse": f"{tmp_path}/wh"}
        elif kind == "rest":
            server = request.getfixturevalue("catalog_server")
            secret = f"{server.client_id}:{server.client_secret}"
            arrow = request.getfixturevalue("s3").arrow()
            properties = {"uri": server.url, "credential": secret, "oauth2-server-uri": f"{server.url}/v1/oauth/tokens"}
            lake.reader = LakeReader(properties, "rest", filesystem=arrow)
            login = {"login": server.client_id, "password": server.client_secret}
            fields |= {"catalog_uri": server.url, "oauth2_server_uri": f"{server.url}/v1/oauth/tokens"}
        else:
            s3, bucket = request.getfixturevalue("s3"), request.getfixturevalue("s3_bucket")
            properties = {"warehouse": f"s3://{bucket}/wh", "glue.endpoint": s3.endpoint, **_amazon(s3)}
            lake.reader = LakeReader(properties, "glue", filesystem=s3.arrow())
            fields |= {"warehouse": f"s3://{bucket}/wh", "catalog_uri": s3.endpoint, "endpoint": s3.endpoint}
            fields |= {"access_key_id": s3.access_key, "secret_access_key": s3.secret_key, "region": s3.region}
        connection = Connection(conn_id="lake", conn_type="nilus_lakehouse", extra=json.dumps(fields), **login)
        sink = resolve_sink("dataos://lake", home=tmp_path, get_connection=lambda _: connection)
        lake.address, lake.credentials = sink.address, sink.credentials
        return lake

    return make


@pytest.mark.parametrize("kind", [pytest.param("postgres", marks=pytest.mark.soak), "rest", "glue"])
def test_every_catalog_takes_every_way_of_writing_and_shows_it_to_others(kind, make_lake, rows):
    lake = make_lake(kind)
    schema = f"raw_{kind}_{lake.runner.folder.name[-20:]}".lower()
    options = {"strategy": "append", "dataset": schema}

    def ids():
        return [key for (key,) in lake.rows("orders", "id", schema=schema)]

    lake.run(rows("[{'id': 1, 'day': '2024-01-01'}, {'id': 2, 'day': '2024-01-02'}]"), **options)
    assert ids() == [1, 2]
    lake.run(
        rows("[{'id': 2, 'day': 'x', 'new': 'n'}, {'id': 3, 'day': 'y'}]"),
        **{**options, "strategy": "merge"},
        primary_key=["id"],
    )
    assert lake.rows("orders", "id", "new", schema=schema) == [(1, None), (2, "n"), (3, None)]
    partition = [{"column": "day", "type": "identity"}]
    lake.run(rows("[{'id': 9, 'day': 'z'}]"), **{**options, "strategy": "replace"}, partition_by=partition)
    assert ids() == [9]
    assert len(lake.summaries("orders", schema)) == 3
    job = lake.job(rows("[{'id': 10, 'day': 'z'}]"), run_id="again", **options)
    lake.runner.run(job)
    lake.runner.run(lake.job(rows("[{'id': 11, 'day': 'z'}]"), run_id="again", **options))
    assert ids() == [11, 9], "the run's own earlier load was replaced"


def test_a_commit_whose_answer_was_lost_is_not_done_twice(make_lake, catalog_server, rows):
    lake = make_lake("rest")
    lake.run(rows("[{'id': 1}]"), strategy="append")
    catalog_server.lose_answers = 3
    lake.run(rows("[{'id': 2}]"), strategy="append")
    assert catalog_server.lose_answers == 0
    assert lake.rows("orders", "id") == [(1,), (2,)]
    assert len(lake.summaries("orders")) == 2


def test_a_secret_that_is_wrong_is_told_once_and_not_shown(make_lake, catalog_server, rows):
    lake = make_lake("rest")
    lake.credentials = {"uri": catalog_server.url, "login": catalog_server.client_id, "password": "wr0ng-secret"}
    with pytest.raises(DestinationError) as error:
        lake.run(rows("[{'id': 1}]"), strategy="append")
    assert not error.value.retryable
    assert "wr0ng" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "extra"),
    [("pyiceberg.utils.config", "[lakehouse]"), ("pyiceberg.catalog.glue", "[lakehouse]"), ("psycopg2", "[postgres]")],
)
def test_what_is_not_installed_is_told_with_the_extra_that_brings_it(missing, extra, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, missing, None)
    kind, uri = ("glue", "") if "glue" in missing else ("sql", "postgresql+psycopg2://u:p@127.0.0.1:9/db")
    lake = Lake(f"iceberg+{kind}://x", {"warehouse": "s3://b/w", "uri": uri})
    with pytest.raises(DestinationError) as error:
        lake.catalog  # noqa: B018 - opens it
    assert f"airflow-provider-nilus{extra}" in error.value.remedy


def test_settings_of_the_machine_are_not_read(home, tmp_path):
    (home / ".pyiceberg.yaml").write_text(
        "catalog:\n  nilus:\n    uri: sqlite:////nowhere/a.db\n    warehouse: /nowhere\n"
    )
    code = (
        "import sys; from nilus.runtime.sinks.lakehouse.catalog import Lake\n"
        "lake = Lake(sys.argv[1]); print(sorted(lake.catalog.properties.items()))\n"
        "from pyiceberg.utils.config import Config; print(dict(Config().config))"
    )
    environ = {**os.environ, "PYICEBERG_CATALOG__NILUS__URI": "http://127.0.0.1:9", "PYICEBERG_MAX_WORKERS": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-c", code, f"iceberg://{tmp_path}/wh"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    properties, config = done.stdout.splitlines()
    assert "nowhere" not in properties
    assert "127.0.0.1" not in properties
    assert f"{tmp_path}/wh" in properties
    assert config == "{}"
