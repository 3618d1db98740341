"""The script behind `make matrix`: what it runs, and how it reads and writes what came of it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def matrix(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module; its folder is a temporary one."""
    spec = importlib.util.spec_from_file_location("nilus_matrix", checkout / "requirements" / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HOME", tmp_path / ".matrix")
    return module


def test_every_version_has_its_own_list_which_pins_it(matrix: ModuleType) -> None:
    for airflow, constraints in matrix.AIRFLOW.items():
        lines = matrix.pinned_list(airflow).read_text().splitlines()
        assert {f"apache-airflow=={airflow}", *constraints} <= set(lines)


def test_what_is_run_and_what_is_left_out_is_there(matrix: ModuleType, checkout: Path) -> None:
    chosen = matrix.tests()
    assert {"tests/provider", "tests/stories"} <= set(chosen)
    assert all((checkout / path.removeprefix("--ignore=")).exists() for path in chosen)


REPORT = """<testsuites><testsuite>
<testcase classname="a" name="passes"/>
<testcase classname="a" name="is_flaky"><failure message="once"/></testcase>
<testcase classname="a" name="is_flaky"/>
<testcase classname="a" name="fails"><failure message="x"/></testcase>
<testcase classname="a" name="breaks"><error message="x"/></testcase>
<testcase classname="a" name="is_left_out"><skipped message="x"/></testcase>
</testsuite></testsuites>"""


def test_a_test_counts_once_and_by_its_last_try(matrix: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    counts, failures = matrix.outcomes(report)
    assert counts == {"passed": 2, "failed": 2, "skipped": 1}
    assert failures == ("a::breaks", "a::fails")


def test_a_table_keeps_the_rows_of_other_versions(matrix: ModuleType) -> None:
    def row(airflow: str, passed: int) -> object:
        return matrix.Tested(airflow, "3.11.7", "main", passed, failed=0, skipped=0, seconds=1)

    matrix.write("tests", [row("3.2.2", 1), row("3.1.8", 2)])
    matrix.write("tests", [row("3.2.2", 3)])
    rows = json.loads((matrix.HOME / "tests.json").read_text())
    assert [(row["airflow"], row["passed"]) for row in rows] == [("3.1.8", 2), ("3.2.2", 3)]
    assert (matrix.HOME / "tests.md").read_text().splitlines() == [
        "| airflow | python | tests | passed | failed | skipped | seconds | failures |",
        "|---|---|---|---|---|---|---|---|",
        "| 3.1.8 | 3.11.7 | main | 2 | 0 | 0 | 1 | none |",
        "| 3.2.2 | 3.11.7 | main | 3 | 0 | 0 | 1 | none |",
    ]
