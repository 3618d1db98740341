"""The lists of what tests and demo install: for the newest Airflow, and for each older one the tests run on."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LINE = re.compile(r"(?P<name>[a-z0-9]+(-[a-z0-9]+)*)==(?P<version>[A-Za-z0-9.+!]+)(?: ; (?P<marker>.+))?")


ROOT = Path(__file__).resolve().parents[3]
LISTS = sorted([*(ROOT / "requirements").glob("*.txt"), *(ROOT / "matrix" / "pins").glob("*.txt")])


@pytest.fixture(scope="module", params=LISTS, ids=[file.stem for file in LISTS])
def lines(request: pytest.FixtureRequest) -> list[str]:
    return Path(request.param).read_text().splitlines()


def test_every_line_is_a_name_and_a_version(lines: list[str]) -> None:
    assert len(lines) > 100
    for line in lines:
        found = LINE.fullmatch(line)
        assert found, f"expected name==version, found {line!r}"
        if found["marker"]:
            Marker(found["marker"])


def test_a_package_has_one_version_on_any_one_python(lines: list[str]) -> None:
    versions: dict[tuple[str, str], set[str]] = defaultdict(set)
    for requirement in map(Requirement, lines):
        for python in ("3.11", "3.12", "3.13", "3.14"):
            environment = {"python_version": python, "python_full_version": f"{python}.4"}
            if requirement.marker is None or requirement.marker.evaluate(environment):
                versions[requirement.name, python].add(str(requirement.specifier))
    assert {key: found for key, found in versions.items() if len(found) > 1} == {}


def test_the_list_fulfils_what_the_project_asks_for(checkout: Path, lines: list[str]) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    asked += project["project"]["optional-dependencies"]["postgres"]
    pinned = defaultdict(list)
    for requirement in map(Requirement, lines):
        (exact,) = requirement.specifier
        pinned[canonicalize_name(requirement.name)].append(exact.version)
    for requirement in map(Requirement, asked):
        found = pinned[canonicalize_name(requirement.name)]
        assert found, f"{requirement} is not pinned; run `make pins`"
        assert all(map(requirement.specifier.contains, found)), f"{requirement}: pinned is {found}; run `make pins`"


def test_every_version_of_airflow_has_a_list_that_pins_it() -> None:
    pinned = {file.stem: file.read_text().splitlines() for file in LISTS}
    assert {"airflow-3.1.8", "airflow-3.2.2", "dev"} <= pinned.keys()
    for name, lines in pinned.items():
        assert name == "dev" or f"apache-airflow=={name.removeprefix('airflow-')}" in lines, name


def test_what_is_installed_here_is_what_is_pinned() -> None:
    airflow = f"apache-airflow=={version('apache-airflow')}"
    (pinned,) = (file for file in LISTS if airflow in file.read_text().splitlines())
    wrong = {}
    for requirement in map(Requirement, pinned.read_text().splitlines()):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "nothing"
        if not requirement.specifier.contains(found):
            wrong[str(requirement)] = found
    assert not wrong, f"expected what {pinned.name} pins, found {wrong}; run `make install`"
