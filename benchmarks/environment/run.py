"""What a source's requirements cost a task: ours, Airflow's PythonVirtualenvOperator with its cache, pip at every run.

Each way gets the same packages from an index that this program serves on loopback, and then runs a program that imports
them. *Cold* is the first time on a machine, uv's and pip's own caches empty; *warm* any later one. The worker's imports
are not counted: they are the same for all. Beside the whole, the part before the program runs is given: getting hold of
the packages. Airflow's way is given less to do than a source would need there: its environment holds neither dlt
nor a driver. An isolated environment of ours holds both, as real packages: those installed here, packed again.
Prints a table and one line of JSON.

Usage: run.py [--packages N] [--files N] [--runs N] [--json-only]
"""

from __future__ import annotations

import argparse
import ensurepip
import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import report

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import importlib, sys\nfor name in sys.argv[1].split(','): importlib.import_module(name)\n"

SINK = "postgresql://host/database"

Way = Callable[[], float]
"""Gets hold of the packages and runs a program that imports them; returns the seconds the first part took."""


def _module(*path: str) -> ModuleType:
    """A module of the tests."""
    found = ROOT.joinpath("tests", *path)
    sys.path.insert(0, str(found.parent))
    return importlib.import_module(found.stem)


def package_index() -> ModuleType:
    """The index the tests use."""
    return _module("environment", "package_index.py")


def fill_with_installed(index: Any, folder: Path) -> None:
    """Put what an isolated environment needs into the index, as it is installed here."""
    from nilus.environment.python.runtime_needs import extras_of, runtime_needs

    again = _module("isolated", "installed_wheels_again.py")
    for package in again.closure(runtime_needs(extras_of(SINK)).requirements).values():
        wheel = again.pack(package, folder)
        index.add((wheel.name, wheel.read_bytes()))
        wheel.unlink()


def fill(index: Any, make: ModuleType, packages: int, files: int) -> list[str]:
    """Put packages of some size into the index; return their names."""
    names = [f"bench{number}" for number in range(packages)]
    for name in names:
        content = {f"{name}/__init__.py": "value = 1\n"}
        content |= {
            f"{name}/part{number}.py": f"def f{number}():\n    return {number}\n" * 20 for number in range(files)
        }
        index.add(make.wheel(name, "1.0", content))
    # Airflow's operator puts these into its environments, before Python 3.12 all three. Small ones will do.
    for name in ("setuptools", "wheel"):
        index.add(make.wheel(name, "99.0"))
    for wheel in Path(ensurepip.__file__).with_name("_bundled").glob("pip-*.whl"):
        index.add((wheel.name, wheel.read_bytes()))
    return names


def ours(folder: Path, url: str, names: list[str]) -> Way:
    """`nilus.environment.prepare`, and a child whose path it completes."""
    from nilus.environment import EnvironmentSettings, Index, prepare

    checkout = folder / "checkout"
    checkout.mkdir()
    (checkout / "requirements.txt").write_text("".join(f"{name}\n" for name in names))
    settings = EnvironmentSettings(cache_dir=folder / "cache", cache_max_bytes=10**10, index=Index(url=url))
    program = (
        "import sys\nfrom pathlib import Path\nfrom nilus.runtime.source.import_roots import import_roots\n"
        f"import_roots(Path(sys.argv[2]), Path(sys.argv[2]), sys.argv[3:])\n{PROGRAM}"
    )

    def run() -> float:
        started = time.perf_counter()
        with prepare(checkout, checkout=checkout, settings=settings) as environment:
            seconds = time.perf_counter() - started
            command = [sys.executable, "-P", "-c", program, ",".join(names), checkout, *environment.paths]
            subprocess.run(command, check=True)
        return seconds

    return run


def isolated(folder: Path, url: str, names: list[str]) -> Way:
    """`nilus.environment.prepare` with an isolation: a virtual environment with dlt and a driver besides."""
    from nilus.environment import EnvironmentSettings, Index, Isolation, prepare
    from nilus.environment.python.runtime_needs import extras_of

    checkout = folder / "checkout"
    checkout.mkdir()
    (checkout / "requirements.txt").write_text("".join(f"{name}\n" for name in names))
    settings = EnvironmentSettings(cache_dir=folder / "cache", cache_max_bytes=10**10, index=Index(url=url))
    isolation = Isolation(extras=extras_of(SINK))

    def run() -> float:
        started = time.perf_counter()
        with prepare(checkout, checkout=checkout, settings=settings, isolation=isolation) as environment:
            seconds = time.perf_counter() - started
            subprocess.run([environment.python, "-P", "-c", PROGRAM, ",".join(names)], check=True)
        return seconds

    return run


def airflows(folder: Path, url: str, names: list[str]) -> Way:
    """`PythonVirtualenvOperator` with `venv_cache_path`."""
    from airflow.providers.standard.operators.python import PythonVirtualenvOperator
    from airflow.sdk import DAG

    def task(modules: list[str]) -> None:
        import importlib

        for module in modules:
            importlib.import_module(module)

    spent: list[float] = []

    class Timed(PythonVirtualenvOperator):
        def _ensure_venv_cache_exists(self, venv_cache_path: Path) -> Path:
            started = time.perf_counter()
            path = super()._ensure_venv_cache_exists(venv_cache_path)
            spent.append(time.perf_counter() - started)
            return path

    cache = folder / "venvs"
    cache.mkdir()
    with DAG("bench"):
        operator = Timed(
            task_id="bench",
            python_callable=task,
            op_args=[names],
            requirements=list(names),
            index_urls=[url],
            venv_cache_path=cache,
            system_site_packages=False,
            expect_airflow=False,
        )
    # `execute` takes it from the task instance, of which there is none here.
    operator._bundle_path = None

    def run() -> float:
        operator.execute_callable()
        return spent[-1]

    return run


def pips(folder: Path, url: str, names: list[str]) -> Way:
    """`pip install --target` into a new folder at every run; pip keeps its own cache."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CACHE_DIR": str(folder / "pip-cache"), "PIP_CONFIG_FILE": os.devnull}

    def run() -> float:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=folder) as target:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*command, "--target", target, "--index-url", url, *names], env=environment, check=True)
            seconds = time.perf_counter() - started
            environment["PYTHONPATH"] = target
            subprocess.run([sys.executable, "-P", "-c", PROGRAM, ",".join(names)], env=environment, check=True)
            del environment["PYTHONPATH"]
        return seconds

    return run


def measure(run: Way, runs: int) -> dict[str, float]:
    """Run once cold and some times warm; return seconds, the warm ones as medians."""
    whole, parts = [], []
    for _ in range(runs + 1):
        started = time.perf_counter()
        parts.append(run())
        whole.append(time.perf_counter() - started)
    return {
        "cold": whole[0],
        "warm": report.Measured.of(whole[1:]).median,
        "cold_packages": parts[0],
        "warm_packages": report.Measured.of(parts[1:]).median,
    }


def table(results: dict[str, dict[str, float]]) -> str:
    """The result for people."""
    keys = list(results["nilus"])
    return report.table(
        ("seconds (and how many times ours)", *(key.replace("_", ", ") for key in keys)),
        [
            (name, *(f"{result[key]:.3f} ({result[key] / results['nilus'][key]:.1f})" for key in keys))
            for name, result in results.items()
        ],
    )


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=10, help="packages to add (default: 10)")
    parser.add_argument("--files", type=int, default=100, help="modules in each (default: 100)")
    parser.add_argument("--runs", type=int, default=5, help="warm runs (default: 5)")
    parser.add_argument("--json-only", action="store_true", help="print no table")
    arguments = parser.parse_args()
    make = package_index()
    with tempfile.TemporaryDirectory(prefix="nilus-bench-") as home, make.running() as index:
        folder = Path(home)
        os.environ.update(
            AIRFLOW_HOME=home,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
            AIRFLOW_VAR_PYTHON_VIRTUALENV_OPERATOR_CACHE_KEY="bench",
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            NO_PROXY="127.0.0.1",
            no_proxy="127.0.0.1",
        )
        names = fill(index, make, arguments.packages, arguments.files)
        results = {}
        fill_with_installed(index, folder)
        for name, way in (
            ("nilus", ours),
            ("nilus, isolated", isolated),
            ("PythonVirtualenvOperator, cached", airflows),
            ("pip at every run", pips),
        ):
            os.environ["UV_CACHE_DIR"] = str(folder / "uv-cache")
            shutil.rmtree(folder / "uv-cache", ignore_errors=True)
            place = folder / way.__name__
            place.mkdir()
            run = way(place, index.url, names)
            logging.disable()
            results[name] = measure(run, arguments.runs)
            logging.disable(logging.NOTSET)
    if not arguments.json_only:
        print(table(results))
    ratios = {
        name: {key: round(value / results["nilus"][key], 2) for key, value in result.items()}
        for name, result in results.items()
    }
    rounded = {name: {key: round(value, 4) for key, value in result.items()} for name, result in results.items()}
    print(json.dumps({**vars(arguments), "seconds": rounded, "ratios": ratios}))


if __name__ == "__main__":
    main()
