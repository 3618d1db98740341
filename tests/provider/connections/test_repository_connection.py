"""The connection type `nilus_repository`: its test, and that it opens a repository as Airflow's own type does."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nilus.hooks.custom_source import NilusHook
from airflow_provider_nilus.hooks.repository import RepositoryHook
from nilus.workflow.models import Repo

TOKEN = "t0ken&of/the=server"


@pytest.fixture
def private(git_server):
    git_server.login = ("reader", TOKEN)
    return git_server


@pytest.fixture
def connect(monkeypatch, tmp_path):
    """`connect(**fields)`: a connection `sources` of our type."""
    monkeypatch.setenv("AIRFLOW__NILUS__CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AIRFLOW__NILUS__ALLOWED_PROTOCOLS", "https,ssh,http")

    def make(**fields):
        monkeypatch.setenv("AIRFLOW_CONN_SOURCES", json.dumps({"conn_type": "nilus_repository", **fields}))
        return RepositoryHook(nilus_repository_conn_id="sources")

    return make


def test_its_test_asks_the_server_and_fetches_nothing(connect, private, origin):
    hook = connect(host=private.url(), login="reader", password=TOKEN)
    assert hook.test_connection() == (True, f"{private.url()} answers; refs/heads/main is at {origin.head}")
    assert private.count("ls-refs") == 1
    assert private.count("fetch") == 0


@pytest.mark.parametrize("password", ["wr0ng/s3cret", None])
def test_a_server_that_does_not_let_us_in_is_told_without_the_token(connect, private, password):
    reached, said = connect(host=private.url(), login="reader", password=password).test_connection()
    assert not reached
    assert private.url() in said
    assert "wr0ng" not in said


@pytest.mark.parametrize(
    "host",
    ["https://user:wr0ng-s3cret@git.example.com/sources.git", "ftp://git.example.com/x", "nothing", "-o proxy", ""],
)
def test_an_address_that_cannot_be_asked_is_told(connect, host):
    reached, said = connect(host=host, login="reader", password="x").test_connection()
    assert not reached
    assert "wr0ng" not in said
    assert said


def test_a_connection_without_a_url_is_told_what_is_missing(connect):
    assert "URL" in connect().test_connection()[1]


def test_a_missing_git_is_told_with_the_package_to_install(connect, private, monkeypatch, tmp_path):
    hook = connect(host=private.url(), login="reader", password=TOKEN)
    monkeypatch.setenv("PATH", str(tmp_path))
    reached, said = hook.test_connection()
    assert not reached
    assert "packages.txt" in said


def test_a_task_opens_the_repository_with_it(connect, private, origin):
    connect(host=private.url(), login="reader", password=TOKEN)
    with NilusHook(git_conn_id="sources").materialise(Repo(url=private.url())) as checkout:
        assert checkout.commit == origin.head
