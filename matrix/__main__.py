"""The versions of Airflow and Python: environments, tests run in them, and what resolves.

    python -m matrix             make .matrix/<Airflow>, run the tests there, write .matrix/tests.{json,md}
    python -m matrix --resolve   see what resolves, write .matrix/resolution.{json,md}
    python -m matrix --wheels    install the wheel under each constraint file, write .matrix/wheels.{json,md}
    python -m matrix --pins      renew the pinned lists of the older versions

An environment is made of the list of its Airflow and of this checkout, which is installed editable and without
dependencies. Needs uv, which stands beside the interpreter that runs this in `.venv`.
"""

from __future__ import annotations

import argparse

from matrix.environments import AIRFLOW, NEWEST, PYTHON, pin
from matrix.platforms import install_wheels, resolve_pages
from matrix.resolution import Resolver, constrained_targets, targets
from matrix.runs import run_tests
from matrix.table import write


def main() -> int:
    """Do what the arguments say; the exit code is 1 where something failed or did not resolve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airflow", nargs="+", choices=AIRFLOW, default=list(AIRFLOW), help="default: all")
    parser.add_argument("--python", nargs="+", help="versions or interpreters; default: 3.11, --resolve: 3.11 to 3.14")
    parser.add_argument("--resolve", action="store_true", help="only see what resolves")
    parser.add_argument("--wheels", action="store_true", help="only install the wheel under the constraints")
    parser.add_argument("--pins", action="store_true", help="only renew the pinned lists")
    parser.add_argument("pytest", nargs="*", metavar="-- ARGUMENT", help="other tests than the main ones; for pytest")
    asked = parser.parse_args()
    if asked.pins:
        for airflow in asked.airflow:
            if airflow != NEWEST:
                pin(airflow)
        return 0
    if asked.resolve:
        resolver = Resolver()
        chosen = [*constrained_targets(), *targets(asked.airflow, asked.python or PYTHON)]
        resolved = [resolver.resolve(target) for target in chosen]
        write("resolution", resolved)
        pages = resolve_pages(resolver)
        write("pages", pages)
        return int(not all(row.complete for row in resolved) or not all(isinstance(row.packages, int) for row in pages))
    if asked.wheels:
        installed = install_wheels()
        write("wheels", installed)
        return int(any(row.wheel != "works" for row in installed))
    tested = []
    for airflow in asked.airflow:
        for python in asked.python or PYTHON[:1]:
            tested.append(run_tests(airflow, python, asked.pytest))
            write("tests", tested)
    return int(any(row.failed or not row.passed for row in tested))


if __name__ == "__main__":
    raise SystemExit(main())
