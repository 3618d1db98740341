"""What the pages about managed Airflows ask for: whether it resolves, and whether the wheel installs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from matrix.environments import CHECKOUT, HOME, uv
from matrix.resolution import CONSTRAINED, Resolver, constraint_file

NAME = "airflow-provider-nilus"
FILES = {
    "astro": ("pyproject.toml", "requirements.txt", "packages.txt"),
    "composer": ("requirements.in",),
    "mwaa": ("requirements.txt", "startup.sh"),
}
"""The files in `docs/deploy/<platform>`; the first has the requirements."""

_TARGETS = (
    ("astro", "3.14", ""),
    ("composer", "3.11", ""),
    *(("mwaa", "3.12", name) for name in CONSTRAINED.values()),
)
_OPERATOR = "import airflow_provider_nilus.operators.custom_source as m; print(m.NilusCustomSourceOperator.__name__)"


@dataclass(frozen=True)
class Asked:
    """What came of the requirements of a page: the number of packages, or why there is no answer."""

    airflow: str
    python: str
    constraints: str
    packages: int | str


@dataclass(frozen=True)
class Installed:
    """What came of installing the wheel under the constraints of a managed Airflow: `works`, or the error."""

    airflow: str
    python: str
    constraints: str
    wheel: str


def requirements(platform: str) -> tuple[Requirement, list[str]]:
    """Return what a page asks for: this package, and the others."""
    path = CHECKOUT / "docs" / "deploy" / platform / FILES[platform][0]
    if path.suffix == ".toml":
        lines = tomllib.loads(path.read_text())["project"]["dependencies"]
    else:
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("-")]
    (ours,) = (Requirement(line) for line in lines if line.startswith(NAME))
    return ours, [line for line in lines if not line.startswith(NAME)]


def resolve_pages(resolver: Resolver) -> list[Asked]:
    """Resolve what each page asks for."""
    resolved = []
    for platform, python, constraints in _TARGETS:
        ours, others = requirements(platform)
        file = HOME / "asked.in"
        file.write_text("".join(f"{line}\n" for line in others))
        extras = [argument for extra in sorted(ours.extras) for argument in ("--extra", extra)]
        files = [constraint_file(constraints)] if constraints else []
        found = resolver.pins(["pyproject.toml", file, *extras], python, files)
        resolved.append(Asked(platform, python, constraints, found))
    return resolved


def install_wheels() -> list[Installed]:
    """Install the wheel under each constraint file with its Airflow, import the operator, ask for the provider."""
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, str(CHECKOUT)]
        subprocess.run(build, check=True, capture_output=True)
        (wheel,) = Path(folder).glob("*.whl")
        python = ".".join(map(str, sys.version_info[:2]))
        return [
            Installed(airflow, python, constraints, _install(wheel, airflow, constraints, Path(folder, airflow)))
            for airflow, constraints in CONSTRAINED.items()
        ]


def _install(wheel: Path, airflow: str, constraints: str, folder: Path) -> str:
    uv("venv", "--quiet", "--no-python-downloads", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    arguments = [
        "--quiet",
        "--python",
        python,
        "--constraint",
        constraint_file(constraints),
        wheel,
        f"apache-airflow=={airflow}",
    ]
    installed = uv("pip", "install", *arguments, check=False)
    if installed.returncode:
        return " ".join(installed.stderr.split())
    env = {**os.environ, "AIRFLOW_HOME": str(folder / "airflow")}
    for command, expected in (
        ([python, "-P", "-c", _OPERATOR], "NilusCustomSourceOperator"),
        ([python, "-m", "airflow", "providers", "get", NAME, "--output", "json"], NAME),
    ):
        run = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, check=False)
        if run.returncode or expected not in run.stdout:
            return " ".join((run.stderr or run.stdout).split())[-500:]
    return "works"
