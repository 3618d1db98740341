"""What resolves: for the constraint files of managed Airflows, and for each Airflow and Python without them.

uv finds the versions; no interpreter of the version of Python is needed. uv takes a package's lower bound of Python for
binding and not the upper one, so pip is asked whether it would install each of them: it minds both bounds, and refuses
what has no wheel.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matrix.environments import AIRFLOW, CHECKOUT, HOME, PYTHON, constraints, uv

CONSTRAINED = {"3.2.1": "mwaa-airflow-3.2.1-py312", "3.3.1": "mwaa-airflow-3.3.1-py312"}
"""The constraint files of a managed Airflow, by the version of Airflow; all for Python 3.12."""

BESIDE = (
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-databricks",
    "apache-airflow-providers-google",
    "apache-airflow-providers-snowflake",
    "astronomer-cosmos",
)
"""What deployments have beside this package."""

# There is no wheel of it at the version that the constraints of Airflow 3.2.1 name; Databricks' connector asks for it.
_BUILT = ("thrift",)


@dataclass(frozen=True)
class Target:
    """One deployment to resolve for.

    Args:
        airflow: the version of Airflow.
        python: the version of Python, such as 3.12.
        constraints: the name of a file in `matrix/constraints`; empty for none.
    """

    airflow: str
    python: str
    constraints: str = ""


@dataclass(frozen=True)
class Resolved:
    """What resolves for one target: numbers of packages, or why there is no answer.

    Attributes:
        default: without extras.
        all: with the extra `all`.
        beside: with the extra `all` and the packages of `BESIDE`.
        refused: the extras that do not resolve; empty where even the default does not.
    """

    airflow: str
    python: str
    constraints: str
    default: int | str
    all: int | str
    beside: int | str
    refused: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything resolved."""
        return all(isinstance(value, int) for value in (self.default, self.all, self.beside))


def constraint_file(name: str) -> Path:
    """Return a file of `matrix/constraints`."""
    return CHECKOUT / "matrix" / "constraints" / f"{name}.txt"


def constrained_targets() -> list[Target]:
    """Return the managed Airflows."""
    return [Target(airflow, "3.12", name) for airflow, name in CONSTRAINED.items()]


def targets(airflows: Sequence[str] = tuple(AIRFLOW), pythons: Sequence[str] = PYTHON) -> list[Target]:
    """Return each Airflow with each Python it takes; Airflow 3.1 asks for a Python below 3.14."""
    return [
        Target(airflow, python)
        for airflow in airflows
        for python in pythons
        if not (airflow.startswith("3.1.") and python == "3.14")
    ]


class Resolver:
    """Finds out what resolves; what pip would install for a version of Python is asked once."""

    def __init__(self, *, ask_pip: bool = True) -> None:
        self._ask_pip = ask_pip
        self._installable: dict[str, set[str]] = {}

    def resolve(self, target: Target) -> Resolved:
        """Try a target; where only `all` does not resolve, each extra by itself."""
        print(f"Airflow {target.airflow}, Python {target.python} {target.constraints}".rstrip(), flush=True)
        default, everything = self.packages(target), self.packages(target, "all")
        beside = self.packages(target, "all", BESIDE)
        refused: tuple[str, ...] = ()
        if isinstance(everything, str) and isinstance(default, int):
            refused = tuple(name for name in _extras() if isinstance(self.packages(target, name), str))
        return Resolved(target.airflow, target.python, target.constraints, default, everything, beside, refused)

    def packages(self, target: Target, extra: str | None = None, beside: Sequence[str] = ()) -> int | str:
        """Return how many packages it takes, or why there is no answer.

        Args:
            target: for what.
            extra: an extra of this package.
            beside: further requirements.
        """
        files = [constraints(target.airflow)]
        if target.constraints:
            files.append(constraint_file(target.constraints))
        asked = HOME / "beside.in"
        asked.write_text("\n".join(beside) + "\n")
        chosen = ("--extra", extra) if extra else ()
        return self.pins(["pyproject.toml", asked, *chosen], target.python, files)

    def pins(self, asked: Sequence[str | Path], python: str, files: Sequence[Path]) -> int | str:
        """Resolve requirements files, given as arguments of uv, under constraint files; see `packages`."""
        solved = uv(
            *("pip", "compile", "--quiet", "--python-version", python, "--no-header", "--no-annotate"),
            *("--only-binary", ":all:"),
            *(argument for name in _BUILT for argument in ("--no-binary", name)),
            *asked,
            *(argument for file in files for argument in ("--constraint", file)),
            check=False,
        )
        if solved.returncode:
            return " ".join(solved.stderr.split())
        pins = [line for line in solved.stdout.splitlines() if "==" in line]
        return self._refusal(pins, python) or len(pins)

    def _refusal(self, pins: Sequence[str], python: str) -> str | None:
        """Return why pip would not install one of these; None if it would."""
        known = self._installable.setdefault(python, set())
        unknown = [pin for pin in pins if pin not in known and pin.partition("==")[0] not in _BUILT]
        if not self._ask_pip or not unknown:
            return None
        file = HOME / "resolved.txt"
        file.write_text("\n".join(unknown) + "\n")
        checked = uv(
            *("tool", "run", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"),
            *("--only-binary", ":all:", "--python-version", python, "--target", HOME / "nowhere", "-r", file),
            check=False,
        )
        if checked.returncode:
            return checked.stderr.strip().splitlines()[-1].removeprefix("ERROR: ")
        known.update(unknown)
        return None


def _extras() -> list[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return [name for name in project["optional-dependencies"] if name not in ("all", "filesystem", "iceberg")]
