"""Real child processes of small functions (`child_code.py`), and what is left of them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from job_fixture import change_job, job_with

from airflow_provider_nilus.child.process import ChildProcess
from airflow_provider_nilus.task.child_environment import child_environ
from nilus.protocol.job import Job, Run, SinkSpec, SourceSpec

HERE = Path(__file__).parent


def new_job(work_dir: Path, **changes: Any) -> Job:
    job = job_with(
        run=Run(
            state_key="shop.load",
            dag_id="shop",
            task_id="load",
            map_index=-1,
            run_id="manual__1",
            run_type="manual",
            try_number=1,
            repository="https://example.org/sources",
            commit="0" * 40,
        ),
        source=SourceSpec(address="custom://Shop", table="orders"),
        sink=SinkSpec(address="duckdb:///x", display_address="duckdb:///x", dataset="raw"),
        checkout="/",
        base_dir="/",
        work_dir=str(work_dir),
    )
    return change_job(job, **changes)


class Recorder(logging.Handler):
    """Keeps what it is given as (level name, logger name, message)."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str, str]] = []
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.name, record.getMessage()))
        self.records.append(record)

    def texts(self, name: str = "nilus.source") -> list[str]:
        return [text for _, logger, text in self.lines if logger == name]


class Trace:
    """Finds the processes of one test by a variable in their environment, whatever they did to their ids."""

    def __init__(self) -> None:
        self.name = f"TRACE_{uuid.uuid4().hex}"

    def living(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._is_ours(entry):
                found.append(int(entry.name))
        return found

    def _is_ours(self, entry: Path) -> bool:
        try:
            return self.name.encode() in (entry / "environ").read_bytes()
        except OSError:
            return False

    def seconds_until_gone(self, bound: float) -> float:
        start = time.monotonic()
        while living := self.living():
            waited = time.monotonic() - start
            assert waited < bound, f"still running after {waited:.1f} s: {[describe(pid) for pid in living]}"
            time.sleep(0.02)
        return time.monotonic() - start


def describe(pid: int) -> str:
    try:
        return f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes()!r} {Path(f'/proc/{pid}/stat').read_text()}"
    except OSError:
        return f"{pid} (gone)"


def wait_for(condition: Callable[[], Any], bound: float = 30.0) -> Any:
    until = time.monotonic() + bound
    while not (value := condition()):
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.01)
    return value


@pytest.fixture
def trace() -> Iterator[Trace]:
    trace = Trace()
    yield trace
    for pid in trace.living():
        os.kill(pid, 9)


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def make_job() -> Callable[..., Job]:
    return new_job


@pytest.fixture
def log() -> Recorder:
    return Recorder()


@pytest.fixture
def child(work_dir: Path, trace: Trace, log: Recorder) -> Callable[..., ChildProcess]:
    """Make a child that calls one function of `child_code.py`."""

    def make(entry: str, *, source_env: dict[str, str] | None = None, job: Job | None = None, **options: Any) -> Any:
        logger = logging.Logger("task", logging.INFO)
        logger.addHandler(log)
        environ = child_environ(os.environ, {trace.name: "1", "PYTHONPATH": str(HERE), **(source_env or {})})
        defaults: dict[str, Any] = {"on_event": lambda event: None, "answer": lambda question: {}}
        return ChildProcess(
            job or new_job(work_dir),
            environ=environ,
            logger=logger,
            extra_args=["--entry", f"child_code:{entry}"],
            **{**defaults, **options},
        )

    return make


class Parent:
    """A process of its own that runs a child, as an Airflow task does (`parent_script.py`)."""

    def __init__(self, process: subprocess.Popen[str], work_dir: Path) -> None:
        self.process = process
        self._work_dir = work_dir

    def ready(self) -> dict[str, int]:
        """Wait until the child's function has started what it wants to start; return the ids it tells."""
        path = self._work_dir / "ready.json"
        wait_for(lambda: path.exists() or self.process.poll() is not None)
        assert path.exists(), self.process.communicate()
        ids: dict[str, int] = json.loads(path.read_text())
        return ids

    def output(self) -> str:
        """Wait for the end and return standard output; errors of the script fail the test."""
        try:
            out, err = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"the script does not end: {self.process.communicate()}")
        assert self.process.returncode == 0, (self.process.returncode, out, err)
        return out


@pytest.fixture
def job_file(work_dir: Path, tmp_path: Path) -> Path:
    path = tmp_path / "job.json"
    path.write_text(new_job(work_dir).to_json())
    return path


@pytest.fixture
def parent(work_dir: Path, job_file: Path, trace: Trace) -> Iterator[Callable[..., Parent]]:
    started: list[subprocess.Popen[str]] = []

    def start(mode: str, entry: str, *arguments: str, **options: Any) -> Parent:
        command = [sys.executable, str(HERE / "parent_script.py"), mode, entry, str(job_file), trace.name]
        process = subprocess.Popen(
            [*command, *arguments],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
        )
        started.append(process)
        return Parent(process, work_dir)

    yield start
    for process in started:
        process.kill()
        process.communicate()
