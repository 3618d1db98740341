"""What is built, and what Airflow makes of it."""

from __future__ import annotations

import email
import email.message
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

NAME = "airflow-provider-nilus"


@pytest.fixture(scope="session")
def project(checkout: Path) -> dict[str, Any]:
    return tomllib.loads((checkout / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this checkout and the wheel made from that sdist, as a release makes them."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_holds_both_packages_and_nothing_else(names: set[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    info = {name for name in top if name.endswith(".dist-info")}
    assert len(info) == 1
    assert top - info == {"airflow_provider_nilus", "nilus"}


def test_the_wheel_holds_every_module_of_the_checkout(checkout: Path, names: set[str]) -> None:
    modules = {
        str(path.relative_to(checkout))
        for package in ("airflow_provider_nilus", "nilus")
        for path in (checkout / package).rglob("*.py")
    }
    assert modules <= names
    assert {name for name in names if name.endswith(".py")} == modules


def test_both_packages_are_marked_as_typed(names: set[str]) -> None:
    assert {"airflow_provider_nilus/py.typed", "nilus/py.typed"} <= names


def test_the_licence_goes_with_the_wheel(names: set[str], metadata: email.message.Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_version_is_the_packages_own(wheel: Path, metadata: email.message.Message) -> None:
    import airflow_provider_nilus

    assert metadata["Name"] == NAME
    assert metadata["Version"] == airflow_provider_nilus.__version__
    assert f"-{airflow_provider_nilus.__version__}-py3-none-any" in wheel.name


def test_the_changelog_has_the_version(checkout: Path) -> None:
    import airflow_provider_nilus

    assert f"## {airflow_provider_nilus.__version__}" in (checkout / "CHANGELOG.md").read_text()


def test_the_classifiers_name_airflow_providers(metadata: email.message.Message) -> None:
    assert "Framework :: Apache Airflow :: Provider" in metadata.get_all("Classifier", [])


def test_dlt_is_held_to_one_minor_version_and_sqlglot_below_the_one_that_breaks_it(
    metadata: email.message.Message,
) -> None:
    required = {r.name: r for r in map(Requirement, metadata.get_all("Requires-Dist", [])) if not r.marker}
    assert str(required["dlt"].specifier) == "<1.32,>=1.31"
    assert "duckdb" in required["dlt"].extras
    assert not required["sqlglot"].specifier.contains("30.22.0")
    assert required["apache-airflow"].specifier.contains("3.1.0")
    assert not required["apache-airflow"].specifier.contains("4.0.0")


def test_all_is_every_other_extra(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    # These two are other names for extras that `all` has.
    assert Requirement(everything).extras == set(extras) - {"all", "iceberg", "filesystem"}


def test_every_destination_of_the_contract_has_an_extra_or_needs_none(project: dict[str, Any]) -> None:
    embedded = {"duckdb"}
    schemes = {"duckdb", "postgres", "sqlite", "mysql", "mssql", "snowflake", "bigquery", "redshift"}
    schemes |= {"databricks", "clickhouse", "athena", "motherduck", "synapse", "s3", "gs", "az", "lakehouse"}
    assert schemes - embedded <= set(project["project"]["optional-dependencies"])


def test_an_extra_of_dlt_that_we_name_exists(project: dict[str, Any]) -> None:
    from importlib.metadata import metadata as installed

    known = set(installed("dlt").get_all("Provides-Extra") or [])
    for lines in project["project"]["optional-dependencies"].values():
        for requirement in map(Requirement, lines):
            if requirement.name == "dlt":
                assert requirement.extras <= known, f"dlt has no extra {requirement.extras - known}"


def test_the_sdist_can_be_tested_and_holds_no_left_overs(built: Path) -> None:
    (found,) = built.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "requirements/dev.txt"} <= files
    assert "tests/conftest.py" in files
    assert not [name for name in files if name.startswith((".venv", ".demo", "dist")) or name.endswith(".pyc")]


def test_the_installed_wheel_announces_itself_to_airflow(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    probe = f"""
import sys
sys.path.insert(0, {str(target)!r})
from importlib.metadata import distribution
found = distribution({NAME!r})
(entry,) = found.entry_points.select(group="apache_airflow_provider")
info = entry.load()()
print(sys.modules[entry.load.__self__.module].__file__)
print(found.metadata["Name"], info["package-name"], *info["versions"], found.version)
print("airflow" in sys.modules)
"""
    # What runs here is a copy: it does not count for the checkout's coverage.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    run = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert run.returncode == 0, run.stderr
    file, line, imported = run.stdout.splitlines()
    assert Path(file).is_relative_to(target)
    name, package_name, *versions, version = line.split()
    assert name == package_name == NAME
    assert versions == [version]
    assert imported == "False"


def test_airflow_lists_the_provider(airflow_metadata: Path) -> None:
    from airflow.providers_manager import ProvidersManager

    import airflow_provider_nilus

    provider = ProvidersManager().providers[NAME]
    assert provider.version == airflow_provider_nilus.__version__
    assert provider.data["package-name"] == NAME


def test_the_airflow_command_shows_the_provider(airflow_metadata: Path) -> None:
    command = [sys.executable, "-m", "airflow", "providers", "get", NAME, "--output", "json"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert NAME in run.stdout
