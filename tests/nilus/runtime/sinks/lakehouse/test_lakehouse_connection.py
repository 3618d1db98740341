"""The connection type `nilus_lakehouse`: its form, what it becomes, and its test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.sdk import Connection

from airflow_provider_nilus import get_provider_info
from airflow_provider_nilus.connections import resolve_sink
from airflow_provider_nilus.hooks.lakehouse import LakehouseHook
from nilus.errors import DestinationError
from nilus.runtime.sinks.lakehouse.catalog import Lake


def _resolve(address="dataos://lake", **fields):
    own = {name: fields.pop(name) for name in ("login", "password", "host") if name in fields}
    connection = Connection(conn_id="lake", conn_type="nilus_lakehouse", extra=json.dumps(fields), **own)
    return resolve_sink(address, home=Path("/srv/airflow"), get_connection=lambda _: connection)


def test_a_local_folder_is_all_that_is_needed(tmp_path):
    sink = _resolve("dataos://lake?purpose=rw", warehouse=str(tmp_path))
    assert sink.address == f"iceberg://{tmp_path}"
    assert Lake(sink.address, sink.credentials).properties == {
        "type": "sql",
        "warehouse": f"file://{tmp_path}",
        "uri": f"sqlite:///{tmp_path}/catalog.sqlite",
    }


def test_a_rest_catalog_gets_client_credentials_and_the_store_its_keys():
    sink = _resolve(
        warehouse="prod",
        catalog="rest",
        catalog_uri="https://catalog.example.com/api",
        login="me",
        password="s3cr:et/!",
        scope="PRINCIPAL_ROLE:ALL",
        oauth2_server_uri="https://login.example.com/token",
        access_key_id="AKIA1",
        secret_access_key="st0re-secret",
        session_token="sess10n",
        region="eu-central-1",
        endpoint="http://minio:9000",
        secret_properties=json.dumps({"header.X-Iceberg-Access-Delegation": "remote-signing"}),
    )
    assert sink.display_address == "iceberg+rest://catalog.example.com/api"
    assert Lake(sink.address, sink.credentials).properties == {
        "type": "rest",
        "warehouse": "prod",
        "uri": "https://catalog.example.com/api",
        "credential": "me:s3cr:et/!",
        "scope": "PRINCIPAL_ROLE:ALL",
        "oauth2-server-uri": "https://login.example.com/token",
        "client.access-key-id": "AKIA1",
        "client.secret-access-key": "st0re-secret",
        "client.session-token": "sess10n",
        "client.region": "eu-central-1",
        "s3.endpoint": "http://minio:9000",
        "header.X-Iceberg-Access-Delegation": "remote-signing",
    }
    for secret in ("s3cr:et/!", "st0re-secret", "sess10n"):
        assert secret in sink.secrets
        assert secret in Lake(sink.address, sink.credentials).secrets
        assert secret not in repr(sink)


def test_client_credentials_become_a_token_at_the_catalog_itself_if_nothing_else_is_said():
    sink = _resolve(catalog_uri="https://catalog.example.com/api/", login="me", password="secret")
    properties = Lake(sink.address, sink.credentials).properties
    assert properties["oauth2-server-uri"] == "https://catalog.example.com/api/v1/oauth/tokens"


def test_a_password_alone_is_a_token():
    sink = _resolve(catalog_uri="https://catalog.example.com", password="t0ken")
    properties = Lake(sink.address, sink.credentials).properties
    assert (properties["type"], properties["token"]) == ("rest", "t0ken")
    assert "t0ken" in sink.secrets


@pytest.mark.parametrize(
    "fields",
    [
        {"catalog_uri": "postgresql+psycopg2://db.example.com:5432/cat", "login": "us@er", "password": "p:a/s s"},
        {"catalog_uri": "postgresql+psycopg2://us%40er:p%3Aa%2Fs%20s@db.example.com:5432/cat"},
    ],
    ids=["fields", "address"],
)
def test_user_and_password_of_a_database_are_filled_in_and_hidden(fields):
    sink = _resolve(warehouse="s3://lake/wh", **fields)
    lake = Lake(sink.address, sink.credentials)
    assert lake.properties["uri"] == "postgresql+psycopg2://us%40er:p%3Aa%2Fs%20s@db.example.com:5432/cat"
    assert sink.display_address == "iceberg+sql://db.example.com:5432/cat"
    assert "p:a/s s" in sink.secrets
    assert {"p:a/s s", "p%3Aa%2Fs%20s"} <= set(lake.secrets)


def test_glue_needs_a_warehouse_and_takes_the_stores_keys_and_region():
    sink = _resolve(warehouse="s3://lake/wh", catalog="glue", region="eu-west-1", catalog_uri="http://127.0.0.1:5000")
    assert sink.display_address == "iceberg+glue://eu-west-1/lake/wh"
    assert Lake(sink.address, sink.credentials).properties == {
        "type": "glue",
        "warehouse": "s3://lake/wh",
        "glue.endpoint": "http://127.0.0.1:5000",
        "client.region": "eu-west-1",
    }


def test_keys_of_azure_go_by_its_own_names():
    sink = _resolve(
        warehouse="abfss://box@acc.dfs.core.windows.net/wh",
        catalog_uri="https://c.example.com",
        access_key_id="acc",
        secret_access_key="k3y",
    )
    properties = Lake(sink.address, sink.credentials).properties
    assert (properties["adls.account-name"], properties["adls.account-key"]) == ("acc", "k3y")
    assert "k3y" in sink.secrets


def test_region_and_endpoint_of_the_workflow_win_over_the_connections():
    connection = Connection(
        conn_id="lake",
        conn_type="nilus_lakehouse",
        extra=json.dumps({"warehouse": "s3://l/w", "catalog": "glue", "region": "a"}),
    )
    sink = resolve_sink(
        "dataos://lake", home=Path("/"), get_connection=lambda _: connection, region="b", endpoint="http://minio:9000"
    )
    assert (sink.credentials["client.region"], sink.credentials["s3.endpoint"]) == ("b", "http://minio:9000")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"warehouse": "s3://lake/wh"},
        {"catalog": "glue"},
        {"catalog": "rest", "warehouse": "prod"},
        {"catalog": "hive", "warehouse": "s3://lake/wh", "catalog_uri": "thrift://h"},
        {"warehouse": "relative/folder"},
    ],
)
def test_a_connection_that_lacks_something_is_refused_by_its_name(fields):
    with pytest.raises(DestinationError, match="'lake'"):
        _resolve(**fields)


def test_the_form_is_declared_for_airflow_without_importing_a_hook():
    (declared,) = [
        one for one in get_provider_info()["connection-types"] if one["connection-type"] == "nilus_lakehouse"
    ]
    assert declared["hook-class-name"] == "airflow_provider_nilus.hooks.lakehouse.LakehouseHook"
    assert set(declared["conn-fields"]) >= {
        "warehouse",
        "catalog",
        "catalog_uri",
        "access_key_id",
        "secret_access_key",
        "region",
        "endpoint",
    }
    secret = {name for name, one in declared["conn-fields"].items() if one["schema"].get("format") == "password"}
    assert secret == {"secret_access_key", "session_token", "secret_properties"}


@pytest.fixture
def hook(monkeypatch):
    """`hook(**fields)`: the hook of a connection that is in the environment."""

    def make(**fields):
        own = {name: fields.pop(name) for name in ("login", "password") if name in fields}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "nilus_lakehouse", "extra": fields, **own}))
        return LakehouseHook(nilus_lakehouse_conn_id="lake")

    return make


def test_the_test_of_a_connection_lists_the_namespaces(hook, lake, rows):
    warehouse = lake.address.removeprefix("iceberg://")
    assert hook(warehouse=warehouse).test_connection() == (
        True,
        f"iceberg://{warehouse} can be read; namespaces: none yet",
    )
    assert not Path(warehouse).exists(), "looking makes nothing"
    lake.run(rows("[{'id': 1}]"), strategy="append", dataset="sales")
    assert hook(warehouse=warehouse).test_connection()[1].endswith("namespaces: sales")


def test_a_catalog_that_does_not_answer_is_told_without_the_secret(hook):
    reached, said = hook(
        warehouse="s3://lake/wh", catalog_uri="postgresql+psycopg2://127.0.0.1:9/db", login="u", password="geheim!"
    ).test_connection()
    assert not reached
    assert "cannot be read" in said
    assert "geheim" not in said


def test_a_connection_without_anything_is_told(hook):
    reached, said = hook().test_connection()
    assert not reached
    assert "not complete" in said
