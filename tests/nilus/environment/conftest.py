"""A source with requirements, an index on loopback, and `prepare` with a cache of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import package_index
import pytest

from nilus.environment import Environment, EnvironmentSettings, prepare


@pytest.fixture(autouse=True)
def deployment_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the variables a test sets say where packages come from; uv's own cache is the test's."""
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_", "SSL_", "NETRC")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty index that the deployment's variables point at."""
    with package_index.running() as state:
        monkeypatch.setenv("UV_DEFAULT_INDEX", state.url)
        yield state


@pytest.fixture
def other_index() -> Iterator[Any]:
    """Another empty index, which nothing points at."""
    with package_index.running() as state:
        yield state


@pytest.fixture
def make() -> ModuleType:
    """`make.wheel(…)`, `make.source_archive(…)`, `make.write(folder, …)`."""
    return package_index


@dataclass
class Source:
    """A checkout with the folder `sources` in it."""

    checkout: Path

    @property
    def base_dir(self) -> Path:
        return self.checkout / "sources"

    @property
    def requirements(self) -> Path:
        return self.base_dir / "requirements.txt"

    def asks(self, text: str, path: str = "sources/requirements.txt") -> None:
        file = self.checkout / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    source = Source(tmp_path / "checkout")
    source.base_dir.mkdir(parents=True)
    return source


@pytest.fixture
def settings(tmp_path: Path) -> EnvironmentSettings:
    return EnvironmentSettings(cache_dir=tmp_path / "cache", cache_max_bytes=10**9)


@pytest.fixture
def get(source: Source, settings: EnvironmentSettings) -> Iterator[Callable[..., Environment]]:
    """Write `requirements.txt` and prepare; what came of it is released at the end."""
    made: list[Environment] = []

    def prepared(text: str | None = None, **options: Any) -> Environment:
        if text is not None:
            source.asks(text)
        options = {"settings": settings, "timeout": 120.0, **options}
        made.append(prepare(source.base_dir, checkout=source.checkout, **options))
        return made[-1]

    yield prepared
    for environment in made:
        environment.release()


CHILD = """
import json, sys
from pathlib import Path
from nilus.runtime.source.import_roots import import_roots
base_dir, checkout, *extra = sys.argv[1:-1]
import_roots(Path(base_dir), Path(checkout), extra)
exec(sys.argv[-1])
"""


@pytest.fixture
def in_child(source: Source) -> Callable[[Environment, str], Any]:
    """Run a text as a source runs, with an environment's folders; returns what it printed, as JSON."""

    def run(environment: Environment, program: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-P", "-c", CHILD, source.base_dir, source.checkout, *environment.paths, program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"did not happen within {seconds} s: {what}"
            time.sleep(0.02)

    return wait


PREPARE = """
import sys
from pathlib import Path
from nilus.environment import EnvironmentSettings, prepare
base_dir, checkout, cache = map(Path, sys.argv[1:4])
settings = EnvironmentSettings(cache_dir=cache, cache_max_bytes=10**9)
with prepare(base_dir, checkout=checkout, settings=settings, timeout=120) as environment:
    print(environment.cached, *environment.paths, flush=True)
    if sys.argv[4:] == ["hold"]:
        sys.stdin.read()
"""


@pytest.fixture
def start_prepare(source: Source, settings: EnvironmentSettings) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes that prepare the source's environment, and print whether it was cached, and its path."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PREPARE, source.base_dir, source.checkout, settings.cache_dir, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
