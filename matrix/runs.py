"""The main tests, run in the environment of one version."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from matrix.environments import CHECKOUT, environment, version_of

# What meets Airflow; `tests/nilus` is the child process and rules about text, the same whichever version stands beside.
MAIN = (
    "tests/fixtures",
    "tests/provider",
    "tests/stories",
    "tests/nilus/runtime/sinks/files/test_file_connections.py",
    "tests/nilus/runtime/sinks/lakehouse/test_lakehouse_connection.py",
)
# Of these, what is checked once: pages, and loads killed at every point.
LEFT_OUT = (
    "tests/provider/state/model",
    "tests/stories/docs",
    "tests/stories/recovery/test_confirm.py",
    "tests/stories/recovery/test_kills.py",
)


@dataclass(frozen=True)
class Tested:
    """How tests ended in one environment: the main ones, or those that were named."""

    airflow: str
    python: str
    tests: str
    passed: int
    failed: int
    skipped: int
    seconds: int
    failures: tuple[str, ...] = ()


def tests() -> list[str]:
    """Return the main tests, as arguments for pytest."""
    return [*MAIN, *(f"--ignore={path}" for path in LEFT_OUT)]


def run_tests(airflow: str, python: str, arguments: Sequence[str]) -> Tested:
    """Run tests in the environment of a version; what pytest prints goes to this terminal.

    Args:
        airflow, python: see `environment`.
        arguments: what to run, and options of pytest; nothing for the main tests.
    """
    interpreter = environment(airflow, python)
    report = interpreter.parents[1] / "report.xml"
    report.unlink(missing_ok=True)
    version = version_of(interpreter)
    print(f"Airflow {airflow}, Python {version}", flush=True)
    command = [
        str(interpreter),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--reruns",
        "1",
        f"--junitxml={report}",
    ]
    parallel = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    started = time.monotonic()
    run = subprocess.run([*command, *parallel, *(arguments or tests())], cwd=CHECKOUT, env=environ, check=False)
    if not report.exists():
        raise SystemExit(f"pytest wrote no report for Airflow {airflow}: it ended with {run.returncode}")
    counts, failures = outcomes(report)
    named = " ".join(arguments) or "main"
    return Tested(airflow, version, named, **counts, seconds=round(time.monotonic() - started), failures=failures)


def outcomes(report: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Read pytest's report: how many tests passed, failed and were skipped, and the names of those that failed.

    A test that passed when it was run once more has passed.
    """
    last = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314, written by the pytest we started
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        last[name] = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
    counts = {kind: sum(value == kind for value in last.values()) for kind in ("passed", "failed", "skipped")}
    failures = tuple(sorted(name for name, kind in last.items() if kind == "failed"))
    return counts, failures
