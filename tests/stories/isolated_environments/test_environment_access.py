"""What a task and its deployment may say about the environment, before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import Connection

from airflow_provider_nilus.task.environment_access import EnvironmentAccess
from airflow_provider_nilus.task.settings import deployment_settings
from nilus.errors import DependencyError, WorkflowError


def no_connection(name):
    raise AssertionError(f"{name} is not asked for")


def prepare(folder, **arguments):
    access = EnvironmentAccess(get_connection=no_connection, mask=lambda *secrets: None, **arguments)
    return access.prepare(folder, folder, lambda: ("postgresql://host/database", None))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AIRFLOW__NILUS__CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_by_default_it_is_the_workers(checkout):
    environment = prepare(checkout)

    assert (environment.is_isolated, environment.paths) == (False, [])


def test_the_deployment_may_isolate_all_and_a_task_may_differ(checkout, wheels, monkeypatch):
    monkeypatch.setenv("AIRFLOW__NILUS__DEFAULT_ENVIRONMENT", "isolated")

    with prepare(checkout) as environment:
        assert environment.is_isolated
        assert [line for line in environment.packages if line.startswith("psycopg2")]
    assert not prepare(checkout, environment="shared").is_isolated


def test_a_task_may_be_isolated_alone(checkout, wheels):
    with prepare(checkout, environment="isolated") as environment:
        assert environment.is_isolated


@pytest.mark.parametrize("environment", ["shared", None])
def test_a_python_needs_an_isolated_environment(environment, checkout):
    with pytest.raises(WorkflowError, match="`python` needs an isolated environment") as caught:
        prepare(checkout, environment=environment, python="3.12")

    assert 'environment="isolated"' in caught.value.expected


def test_an_unknown_kind_is_refused(checkout):
    with pytest.raises(WorkflowError, match="`environment` is not known") as caught:
        prepare(checkout, environment="venv")

    assert caught.value.found == "'venv'"


def test_an_unknown_default_is_refused(monkeypatch):
    monkeypatch.setenv("AIRFLOW__NILUS__DEFAULT_ENVIRONMENT", "container")

    with pytest.raises(WorkflowError, match="default_environment cannot be used"):
        deployment_settings()


def test_a_package_without_its_metadata_cannot_be_isolated(checkout, monkeypatch):
    monkeypatch.setattr("nilus.environment.python.runtime_needs.OURS", "not-installed-here")

    with pytest.raises(DependencyError, match="not-installed-here is not installed"):
        prepare(checkout, environment="isolated")


def test_the_deployments_index_connection_serves_the_packages_and_its_password_is_hidden(checkout, make, monkeypatch):
    (checkout / "requirements.txt").write_text("plain\n")
    masked = []
    with make.running() as index:
        index.add(make.wheel("plain", "1.0"))
        index.login = ("reader", "s3cret/key")
        connection = Connection(
            conn_id="company", conn_type="http", host=index.url, login="reader", password="s3cret/key"
        )
        monkeypatch.setenv("AIRFLOW__NILUS__INDEX_CONNECTION", "company")
        monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
        access = EnvironmentAccess(get_connection={"company": connection}.__getitem__, mask=masked.append)

        with access.prepare(checkout, checkout, lambda: ()) as environment:
            assert environment.packages == ("plain==1.0",)

    assert masked == ["s3cret/key"]


def test_the_deployment_may_trust_its_repositories_with_addresses(checkout, make, monkeypatch):
    wheels = checkout / "wheels"
    wheels.mkdir()
    make.write(wheels, make.wheel("plain", "1.0"))
    (checkout / "requirements.txt").write_text("./wheels/plain-1.0-py3-none-any.whl\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DependencyError, match="not allowed here"):
        prepare(checkout)
    monkeypatch.setenv("AIRFLOW__NILUS__ALLOW_DIRECT_REQUIREMENTS", "True")

    with prepare(checkout) as environment:
        assert [line.partition(" @ ")[0] for line in environment.packages] == ["plain"]
