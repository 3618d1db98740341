"""One isolated environment with the real packages for all tests of a session, and small ones made of empty packages."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import package_index
import pytest

from nilus.cache import file_tree
from nilus.environment import Environment, EnvironmentSettings, Isolation, prepare
from nilus.environment.python.runtime_needs import extras_of, runtime_needs

HERE = Path(__file__).resolve().parent


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look for their module by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


again = _load(HERE / "installed_wheels_again.py", "installed_wheels_again")
recovery = _load(HERE.parent / "recovery" / "conftest.py", "isolated_recovery")
make_world = recovery.make_world

# Another version than the worker's of a package of Airflow's, and a driver: one environment serves several tests.
CLASHING = "pydantic<2\npsycopg2-binary\n"
ADDRESSES = ("duckdb:///lake", "postgresql://server/database")


@pytest.fixture
def make() -> ModuleType:
    """`make.wheel(…)`, `make.write(folder, …)`."""
    return package_index


@pytest.fixture
def closure() -> Callable[..., dict[str, Any]]:
    """`closure(requirements)`: the installed packages they lead to, by name."""
    return again.closure


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that is emptied at the end: what is in it is large."""
    folder = tmp_path_factory.mktemp("isolated")
    yield folder
    file_tree.remove(folder)


@pytest.fixture(scope="session")
def real_wheels(session_folder: Path) -> Path:
    """A folder with wheels of dlt, the drivers and what they need, as they are installed here."""
    folder = session_folder / "wheels"
    folder.mkdir()
    needs = runtime_needs(extras_of(*ADDRESSES))
    for package in again.closure(needs.requirements).values():
        again.pack(package, folder)
    files = {"pydantic/__init__.py": "", "greeter.py": "def main():\n    import pydantic\n    print('hello')\n"}
    points = "[console_scripts]\ngreet = greeter:main\n"
    package_index.write(folder, package_index.wheel("pydantic", "1.10.99", files, entry_points=points))
    return folder


def _offline(folder: Path, uv_cache: Path) -> dict[str, str]:
    return {"UV_FIND_LINKS": str(folder), "PIP_NO_INDEX": "1", "UV_CACHE_DIR": str(uv_cache)}


@pytest.fixture(scope="session")
def session_cache(session_folder: Path) -> Path:
    """The `cache_dir` of the tests with real packages."""
    return session_folder / "cache"


@pytest.fixture(scope="session")
def _real_environment(real_wheels: Path, session_folder: Path, session_cache: Path) -> Iterator[Environment]:
    checkout = session_folder / "checkout"
    checkout.mkdir()
    (checkout / "requirements.txt").write_text(CLASHING)
    settings = EnvironmentSettings(cache_dir=session_cache, cache_max_bytes=10**10)
    variables = _offline(real_wheels, session_folder / "uv-cache")
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, variables))
        yield stack.enter_context(prepare(checkout, checkout=checkout, settings=settings, isolation=Isolation()))
        shutil.rmtree(session_folder / "uv-cache", ignore_errors=True)


@pytest.fixture
def real_environment(
    _real_environment: Environment, real_wheels: Path, session_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Environment:
    """The environment with the real packages; packages come from where its own came from."""
    for name, value in _offline(real_wheels, session_folder / "uv-cache").items():
        monkeypatch.setenv(name, value)
    return _real_environment


@pytest.fixture
def clashing_requirements() -> str:
    """What the environment with the real packages was made for: the worker cannot meet it."""
    return CLASHING


@pytest.fixture
def isolated_deployment(
    real_environment: Environment, deployment: Any, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """`deployment`, where every task has an isolated environment."""
    monkeypatch.setenv("AIRFLOW__NILUS__CACHE_DIR", str(session_cache))
    monkeypatch.setenv("AIRFLOW__NILUS__DEFAULT_ENVIRONMENT", "isolated")
    return deployment


# What follows needs no real packages: what nilus needs is there by name and version alone.


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder packages come from, with an empty wheel for each thing nilus needs."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    extras = {"duckdb": ["duckdb>=1.2"], "postgres": ["psycopg2-binary"], "sqlalchemy": ["sqlalchemy"]}
    requires = [f"{name}; extra == '{extra}'" for extra, names in extras.items() for name in names]
    write = package_index.write
    write(folder, package_index.wheel("dlt", version("dlt"), requires=requires, extras=extras))
    plain = {"duckdb", "psycopg2-binary", "sqlalchemy", "pymysql"}
    plain |= {requirement.name for requirement in runtime_needs(()).requirements} - {"dlt"}
    for name in plain:
        write(folder, package_index.wheel(name, version(name)))
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    for name, value in _offline(folder, tmp_path / "uv-cache").items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> EnvironmentSettings:
    return EnvironmentSettings(cache_dir=tmp_path / "cache", cache_max_bytes=10**9)


@pytest.fixture
def isolate(checkout: Path, settings: EnvironmentSettings, wheels: Path) -> Iterator[Callable[..., Environment]]:
    """Write `requirements.txt` and prepare an isolated environment; what came of it is released at the end."""
    made: list[Environment] = []

    def prepared(text: str | None = None, *, extras: tuple[str, ...] = (), python: str | None = None) -> Environment:
        if text is not None:
            (checkout / "requirements.txt").write_text(text)
        isolation = Isolation(extras=extras, python=python)
        made.append(prepare(checkout, checkout=checkout, settings=settings, isolation=isolation, timeout=120.0))
        return made[-1]

    yield prepared
    for environment in made:
        environment.release()
