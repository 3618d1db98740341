"""The list of what tests and demo install."""

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


@pytest.fixture(scope="module")
def lines(checkout: Path) -> list[str]:
    return (checkout / "requirements" / "dev.txt").read_text().splitlines()


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
        for python in ("3.11", "3.12", "3.13"):
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


def test_what_is_installed_here_is_what_is_pinned(lines: list[str]) -> None:
    wrong = {}
    for requirement in map(Requirement, lines):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "nothing"
        if not requirement.specifier.contains(found):
            wrong[str(requirement)] = found
    assert not wrong, f"expected what requirements/dev.txt pins, found {wrong}; run `make install`"
