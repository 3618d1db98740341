"""The versions of Airflow and Python, uv, and an environment for each version."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
HOME = CHECKOUT / ".matrix"
NEWEST = "3.3.2"
# With what it does not run without, although its metadata do not say so: the API of Airflow 3.2.2 cannot be built with
# FastAPI 0.137 or newer, which cadwyn 8 asks for.
AIRFLOW: dict[str, list[str]] = {"3.1.8": [], "3.2.2": ["fastapi==0.136.3", "cadwyn==7.0.0"], NEWEST: []}
PYTHON = ("3.11", "3.12", "3.13", "3.14")


def pinned_list(airflow: str) -> Path:
    """Return the file that pins everything for a version of Airflow."""
    if airflow == NEWEST:
        return CHECKOUT / "requirements" / "dev.txt"
    return CHECKOUT / "matrix" / "pins" / f"airflow-{airflow}.txt"


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
    file.write_text("\n".join([f"apache-airflow=={airflow}", *AIRFLOW.get(airflow, [])]) + "\n")
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
    minor = version_of(python).rpartition(".")[0] if "/" in python else python
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


def version_of(interpreter: str | Path) -> str:
    """Return the full version of an interpreter."""
    command = [str(interpreter), "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
