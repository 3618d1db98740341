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
