"""Airflow connections become sink addresses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("nilus.values.redaction")

from airflow.sdk import Connection

from airflow_provider_nilus.connections import resolve_sink
from nilus.errors import DestinationError

HOME = Path("/srv/airflow")


def _resolve(address, **connections):
    def get(conn_id):
        return connections[conn_id]

    return resolve_sink(address, home=HOME, get_connection=get)


def test_a_depot_with_a_postgres_connection_becomes_its_address_with_everything_quoted():
    connection = Connection(
        conn_id="lake",
        conn_type="postgres",
        host="db.example.com",
        login="us@er",
        password="p:a/s@s%",
        schema="ware house",
        port=5433,
        extra=json.dumps({"sslmode": "require", "cursor": "dictcursor"}),
    )
    sink = _resolve("dataos://lake?purpose=rw", lake=connection)
    assert sink.address == ("postgresql://us%40er:p%3Aa%2Fs%40s%25@db.example.com:5433/ware%20house?sslmode=require")
    assert "p%3Aa%2Fs%40s%25" in sink.secrets
    assert "p:a/s@s%" in sink.secrets
    assert "p%3Aa" not in sink.display_address
    assert "p:a/s" not in repr(sink).replace(sink.address, "")


def test_an_incomplete_postgres_connection_names_what_is_missing():
    with pytest.raises(DestinationError, match="login, password"):
        _resolve("dataos://lake", lake=Connection(conn_id="lake", conn_type="postgres", host="h", schema="d"))


@pytest.mark.parametrize(
    "connection",
    [
        Connection(conn_id="lake", conn_type="generic", host="/data/lake.duckdb"),
        Connection(conn_id="lake", conn_type="duckdb", host="/data/lake.duckdb"),
        Connection(conn_id="lake", conn_type="nilus", extra='{"address": "duckdb:////data/lake.duckdb"}'),
        Connection(conn_id="lake", conn_type="generic", extra='{"address": "duckdb:////data/lake.duckdb"}'),
    ],
    ids=lambda connection: f"{connection.conn_type}-{'address' if connection.extra else 'host'}",
)
def test_a_depot_may_be_a_duckdb_file(connection):
    assert _resolve("dataos://lake", lake=connection).address == "duckdb:////data/lake.duckdb"


def test_our_own_connection_fills_user_and_password_into_its_address():
    connection = Connection(
        conn_id="lake",
        conn_type="nilus",
        login="loader",
        password="s3cr/et",
        extra='{"address": "postgresql://db:5432/warehouse"}',
    )
    sink = _resolve("dataos://lake", lake=connection)
    assert sink.address == "postgresql://loader:s3cr%2Fet@db:5432/warehouse"
    assert "s3cr" not in sink.display_address


def test_a_relative_duckdb_file_is_relative_to_airflow_home():
    assert _resolve("duckdb:///data/lake.duckdb").address == "duckdb:////srv/airflow/data/lake.duckdb"


def test_an_absolute_duckdb_file_stays_where_it_is():
    assert _resolve("duckdb:////data/lake.duckdb").address == "duckdb:////data/lake.duckdb"


def test_a_connection_of_another_type_is_refused_with_the_types_that_fit():
    with pytest.raises(DestinationError, match="postgres") as error:
        _resolve("dataos://lake", lake=Connection(conn_id="lake", conn_type="ftp", host="h", password="geheim"))
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("address", ["dataos://", "dataos:///", "dataos://?acl=rw"])
def test_a_depot_without_a_name_is_refused(address):
    with pytest.raises(DestinationError, match="names no connection"):
        _resolve(address)


def test_a_connection_that_points_to_a_connection_is_refused():
    connection = Connection(conn_id="lake", conn_type="nilus", extra='{"address": "dataos://other"}')
    with pytest.raises(DestinationError, match="points to another connection"):
        _resolve("dataos://lake", lake=connection)
