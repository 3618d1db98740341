"""What *Test* in Airflow's connection form does."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nilus.hooks.custom_source import NilusHook


@pytest.fixture
def connection(monkeypatch):
    def make(**fields):
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "nilus", **fields}))
        return NilusHook(nilus_conn_id="lake")

    return make


def test_a_duckdb_file_in_a_folder_that_can_be_written_is_reached_and_git_is_named(connection, tmp_path):
    hook = connection(extra={"address": f"duckdb:///{tmp_path}/new/lake.duckdb"})
    assert hook.test_connection()[0]
    assert "git 2." in hook.test_connection()[1]
    assert not (tmp_path / "new").exists()


def test_a_postgresql_server_is_logged_in_to(connection, postgres_database):
    assert connection(extra={"address": postgres_database}).test_connection()[0]


def test_a_mariadb_server_is_logged_in_to_and_a_wrong_password_is_told_without_it(connection, mariadb):
    assert connection(extra={"address": mariadb.url}).test_connection()[0]
    reached, said = connection(extra={"address": mariadb.url.replace(mariadb.password, "geheim!")}).test_connection()
    assert not reached
    assert "Access denied" in said
    assert "geheim" not in said


def test_an_sqlite_file_in_a_folder_that_cannot_be_written_is_told(connection, tmp_path):
    assert connection(extra={"address": f"sqlite:///{tmp_path}/new/lake.db"}).test_connection()[0]
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    reached, said = connection(extra={"address": f"sqlite:///{tmp_path}/file/lake.db"}).test_connection()
    assert not reached
    assert "cannot be written" in said


def test_a_bucket_is_looked_into_and_one_that_is_not_there_is_told(connection, s3, s3_bucket):
    extra = {"address": f"s3://{s3_bucket}", "credentials": s3.credentials}
    assert connection(extra=extra).test_connection()[0]
    reached, said = connection(extra={**extra, "address": "s3://nowhere-at-all/x"}).test_connection()
    assert not reached
    assert s3.secret_key not in said


def test_a_warehouse_that_cannot_be_reached_is_told_without_its_password(connection):
    address = "redshift://u:geheim!@127.0.0.1:9/x?connect_timeout=2"
    reached, said = connection(extra={"address": address}).test_connection()
    assert not reached
    assert "geheim" not in said


def test_a_server_that_does_not_answer_is_told_without_the_password(connection):
    hook = connection(login="u", password="geheim!", extra={"address": "postgresql://127.0.0.1:9/x"})
    reached, said = hook.test_connection()
    assert not reached
    assert "cannot be reached" in said
    assert "geheim" not in said


def test_a_missing_git_is_told_with_the_package_to_install(connection, tmp_path, monkeypatch):
    hook = connection(extra={"address": f"duckdb:///{tmp_path}/lake.duckdb"})
    monkeypatch.setenv("PATH", str(tmp_path))
    reached, said = hook.test_connection()
    assert not reached
    assert "packages.txt" in said


def test_a_connection_without_an_address_is_told(connection):
    reached, said = connection().test_connection()
    assert not reached
    assert "address" in said
