"""The script behind `make matrix`: what it runs, and how it reads and writes what came of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from matrix import environments, resolution, runs, table


def test_every_version_has_its_own_list_which_pins_it() -> None:
    for airflow, constraints in environments.AIRFLOW.items():
        lines = environments.pinned_list(airflow).read_text().splitlines()
        assert {f"apache-airflow=={airflow}", *constraints} <= set(lines)


def test_what_is_run_and_what_is_left_out_is_there(checkout: Path) -> None:
    chosen = runs.tests()
    assert {"tests/provider", "tests/stories"} <= set(chosen)
    assert all((checkout / path.removeprefix("--ignore=")).exists() for path in chosen)


@pytest.mark.parametrize("name", resolution.CONSTRAINED.values())
def test_every_requirement_admits_the_version_that_a_managed_airflow_has(name: str, checkout: Path) -> None:
    pins = (line for line in resolution.constraint_file(name).read_text().splitlines() if "==" in line)
    managed = {canonicalize_name(pin.partition("==")[0]): pin.partition("==")[2] for pin in pins}
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    asked = [project["dependencies"], *project["optional-dependencies"].values()]
    required = [Requirement(line) for lines in asked for line in lines]
    met = [one for one in required if canonicalize_name(one.name) in managed]
    assert {"gitpython", "pyarrow", "pyiceberg", "uv"} <= {canonicalize_name(one.name) for one in met}
    assert not [str(one) for one in met if not one.specifier.contains(managed[canonicalize_name(one.name)])]


def test_airflow_s_git_provider_is_no_dependency(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    asked = [project["dependencies"], *project["optional-dependencies"].values()]
    assert "apache-airflow-providers-git" not in {Requirement(line).name for lines in asked for line in lines}


REPORT = """<testsuites><testsuite>
<testcase classname="a" name="passes"/>
<testcase classname="a" name="is_flaky"><failure message="once"/></testcase>
<testcase classname="a" name="is_flaky"/>
<testcase classname="a" name="fails"><failure message="x"/></testcase>
<testcase classname="a" name="breaks"><error message="x"/></testcase>
<testcase classname="a" name="is_left_out"><skipped message="x"/></testcase>
</testsuite></testsuites>"""


def test_a_test_counts_once_and_by_its_last_try(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    counts, failures = runs.outcomes(report)
    assert counts == {"passed": 2, "failed": 2, "skipped": 1}
    assert failures == ("a::breaks", "a::fails")


def test_a_table_keeps_the_rows_of_other_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "HOME", tmp_path)

    def row(airflow: str, passed: int) -> object:
        return runs.Tested(airflow, "3.11.7", "main", passed, failed=0, skipped=0, seconds=1)

    table.write("tests", [row("3.2.2", 1), row("3.1.8", 2)])
    table.write("tests", [row("3.2.2", 3)])
    rows = json.loads((environments.HOME / "tests.json").read_text())
    assert [(row["airflow"], row["passed"]) for row in rows] == [("3.1.8", 2), ("3.2.2", 3)]
    assert (environments.HOME / "tests.md").read_text().splitlines() == [
        "| airflow | python | tests | passed | failed | skipped | seconds | failures |",
        "|---|---|---|---|---|---|---|---|",
        "| 3.1.8 | 3.11.7 | main | 2 | 0 | 0 | 1 | none |",
        "| 3.2.2 | 3.11.7 | main | 3 | 0 | 0 | 1 | none |",
    ]
