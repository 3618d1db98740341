"""The versions of Airflow and Python: environments, tests run in them, and what resolves.

    python requirements/matrix.py             make .matrix/<Airflow>, run the tests there, write .matrix/tests.{json,md}
    python requirements/matrix.py --resolve   see what resolves for which Python, write .matrix/resolution.{json,md}
    python requirements/matrix.py --pins      renew the pinned lists of the older versions

An environment is made of the list of its Airflow and of this checkout, which is installed editable and without
dependencies. Needs uv, which stands beside the interpreter that runs this in `.venv`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parents[1]
HOME = CHECKOUT / ".matrix"
NEWEST = "3.3.2"
# With what it does not run without, although its metadata do not say so: the API of Airflow 3.2.2 cannot be built with
# FastAPI 0.137 or newer, which cadwyn 8 asks for.
AIRFLOW: dict[str, list[str]] = {"3.1.8": [], "3.2.2": ["fastapi==0.136.3", "cadwyn==7.0.0"], NEWEST: []}
PYTHON = ("3.11", "3.12", "3.13", "3.14")

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
    "tests/stories/recovery/test_kill_databases.py",
    "tests/stories/recovery/test_kill_files.py",
    "tests/stories/recovery/test_kill_matrix.py",
    "tests/stories/recovery/test_lakehouse_kills.py",
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


@dataclass(frozen=True)
class Resolved:
    """What resolves for one Airflow and one Python: the number of packages, or why not.

    Attributes:
        default: without extras, from wheels alone.
        all: with the extra `all`, from wheels alone.
        refused: the extras that do not resolve; empty where even the default does not.
    """

    airflow: str
    python: str
    default: int | str
    all: int | str
    refused: tuple[str, ...] = ()


def pinned_list(airflow: str) -> Path:
    """Return the file that pins everything for a version of Airflow."""
    name = "dev.txt" if airflow == NEWEST else f"airflow-{airflow}.txt"
    return CHECKOUT / "requirements" / name


def tests() -> list[str]:
    """Return the main tests, as arguments for pytest."""
    return [*MAIN, *(f"--ignore={path}" for path in LEFT_OUT)]


def uv(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run uv with this shell's own settings left out; what it prints is in the result.

    Raises:
        SystemExit: it failed, and `check` is set.
    """
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    program = Path(sys.executable).with_name("uv")
    run = subprocess.run([program, *arguments], cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)
    if check and run.returncode:
        raise SystemExit(f"uv {' '.join(map(str, arguments))} failed:\n{run.stderr}")
    return run


def constraints(airflow: str) -> Path:
    """Write down what a version of Airflow asks for beyond its own metadata, and return the file."""
    HOME.mkdir(exist_ok=True)
    file = HOME / f"constraints-{airflow}.txt"
    file.write_text("\n".join([f"apache-airflow=={airflow}", *AIRFLOW[airflow]]) + "\n")
    return file


def pin(airflow: str) -> None:
    """Renew the pinned list of an older version; that of the newest is made by `make pins`."""
    uv(
        *("pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11", "--no-header"),
        *("--no-annotate", "--extra", "all", "--group", "dev", "pyproject.toml", "--constraint", constraints(airflow)),
        *("--output-file", pinned_list(airflow)),
    )


def environment(airflow: str, python: str) -> Path:
    """Make the environment of a version, unless it is there and its list is the same; return its interpreter.

    Args:
        airflow: the version.
        python: a version such as 3.12, or the path of an interpreter.

    Raises:
        SystemExit: there is no such Python, or a package cannot be installed.
    """
    minor = _version_of(python).rpartition(".")[0] if "/" in python else python
    folder = HOME / (airflow if minor == PYTHON[0] else f"{airflow}-python{minor}")
    interpreter, marker = folder / "bin" / "python", folder / "installed"
    made_from = [pinned_list(airflow), CHECKOUT / "pyproject.toml"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in made_from)).hexdigest()
    if interpreter.exists() and marker.exists() and marker.read_text() == digest:
        return interpreter
    print(f"Making {folder.relative_to(CHECKOUT)}", flush=True)
    uv("venv", "--quiet", "--clear", "--no-python-downloads", "--python", python, folder)
    uv("pip", "sync", "--quiet", "--compile-bytecode", "--python", interpreter, pinned_list(airflow))
    uv(*("pip", "install", "--quiet", "--python", interpreter, "--no-deps", "--no-build-isolation", "--editable", "."))
    marker.write_text(digest)
    return interpreter


def run_tests(airflow: str, python: str, arguments: Sequence[str]) -> Tested:
    """Run tests in the environment of a version; what pytest prints goes to this terminal.

    Args:
        airflow, python: see `environment`.
        arguments: what to run, and options of pytest; nothing for the main tests.
    """
    interpreter = environment(airflow, python)
    report = interpreter.parents[1] / "report.xml"
    report.unlink(missing_ok=True)
    version = _version_of(interpreter)
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


def _version_of(interpreter: str | Path) -> str:
    command = [str(interpreter), "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


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


class Resolution:
    """Finds out what resolves for a version of Python, from wheels alone. No interpreter of that version is needed.

    uv finds the versions. It takes a package's lower bound of Python for binding and not the upper one, so pip is asked
    whether it would install each of them: it minds both bounds, and refuses what has no wheel.
    """

    def __init__(self, python: str) -> None:
        self.python = python
        self._installable: set[str] = set()

    def of(self, airflow: str) -> Resolved:
        """Try a version of Airflow; where only `all` does not resolve, each extra by itself."""
        print(f"Airflow {airflow}, Python {self.python}", flush=True)
        everything, default = self._packages(airflow, "all"), self._packages(airflow)
        refused: tuple[str, ...] = ()
        if isinstance(everything, str) and isinstance(default, int):
            refused = tuple(name for name in _extras() if isinstance(self._packages(airflow, name), str))
        return Resolved(airflow, self.python, default, everything, refused)

    def _packages(self, airflow: str, extra: str | None = None) -> int | str:
        """Return how many packages it takes, or why there is no answer."""
        solved = uv(
            *("pip", "compile", "--quiet", "--python-version", self.python, "--no-header", "--no-annotate"),
            *("--only-binary", ":all:", "pyproject.toml", "--constraint", constraints(airflow)),
            *(("--extra", extra) if extra else ()),
            check=False,
        )
        if solved.returncode:
            return " ".join(solved.stderr.split())
        pins = solved.stdout.splitlines()
        return self._refusal([pin for pin in pins if pin not in self._installable]) or len(pins)

    def _refusal(self, pins: Sequence[str]) -> str | None:
        """Return why pip would not install one of these; None if it would."""
        file = HOME / "resolved.txt"
        file.write_text("\n".join(pins) + "\n")
        checked = uv(
            *("tool", "run", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"),
            *("--only-binary", ":all:", "--python-version", self.python, "--target", HOME / "nowhere", "-r", file),
            check=False,
        )
        if checked.returncode:
            return checked.stderr.strip().splitlines()[-1].removeprefix("ERROR: ")
        self._installable.update(pins)
        return None


def _extras() -> list[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return [name for name in project["optional-dependencies"] if name not in ("all", "filesystem", "iceberg")]


def write(name: str, rows: Sequence[Tested] | Sequence[Resolved]) -> None:
    """Write a table as JSON and as Markdown into `.matrix`, and print the latter.

    Rows of the table that is there stay, unless they say something of the same versions.
    """
    HOME.mkdir(exist_ok=True)
    file = HOME / f"{name}.json"
    table = {_key(row): row for row in (json.loads(file.read_text()) if file.exists() else [])}
    table |= {_key(asdict(row)): asdict(row) for row in rows}
    file.write_text(json.dumps([table[key] for key in sorted(table)], indent=2) + "\n")
    text = "\n".join(_lines([table[key] for key in sorted(table)])) + "\n"
    file.with_suffix(".md").write_text(text)
    print(f"\n{text}")


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["airflow"], row["python"], row.get("tests", "")


def _lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(rows[0])} |"
    yield f"|{'---|' * len(rows[0])}"
    for row in rows:
        values = row.values()
        cells = [str(value) if isinstance(value, str | int) else ", ".join(value) or "none" for value in values]
        yield f"| {' | '.join(cells)} |"


def main() -> int:
    """Do what the arguments say; the exit code is 1 where something failed or did not resolve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airflow", nargs="+", choices=AIRFLOW, default=list(AIRFLOW), help="default: all")
    parser.add_argument("--python", nargs="+", help="versions or interpreters; default: 3.11, --resolve: 3.11 to 3.14")
    parser.add_argument("--resolve", action="store_true", help="only see what resolves")
    parser.add_argument("--pins", action="store_true", help="only renew the pinned lists")
    parser.add_argument("pytest", nargs="*", metavar="-- ARGUMENT", help="other tests than the main ones; for pytest")
    asked = parser.parse_args()
    if asked.pins:
        for airflow in asked.airflow:
            if airflow != NEWEST:
                pin(airflow)
        return 0
    if asked.resolve:
        resolutions = [Resolution(python) for python in asked.python or PYTHON]
        resolved = [resolution.of(airflow) for resolution in resolutions for airflow in asked.airflow]
        write("resolution", resolved)
        return int(any(isinstance(row.all, str) or isinstance(row.default, str) for row in resolved))
    tested = []
    for airflow in asked.airflow:
        for python in asked.python or PYTHON[:1]:
            tested.append(run_tests(airflow, python, asked.pytest))
            write("tests", tested)
    return int(any(row.failed or not row.passed for row in tested))


if __name__ == "__main__":
    raise SystemExit(main())
