"""Small sources, written to files and run by real child processes into real sinks."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from job_fixture import job_with

from airflow_provider_nilus.child.process import ChildProcess
from airflow_provider_nilus.task.child_environment import child_environ
from nilus.protocol.events import Event, Loaded
from nilus.protocol.job import Job, Run, SinkSpec, SourceSpec

_HEADER = "import nilus\nfrom nilus import CustomSource\n"
_RUN = ("state_key", "run_id", "run_type", "try_number", "logical_date", "commit")
_SINK = ("strategy", "full_refresh", "loader_file_size", "loader_file_format", "table")
_JOB = (
    "resources",
    "state",
    "interval",
    "backfill",
    "log_level",
    "on_rerun",
    "known_load_ids",
    "replaces",
    "batching",
    "first_attempt",
)


class _LogLines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


class Sink:
    """A sink of a test: its address, and a way to look into it that is not dlt's."""

    name: str
    address: str

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run a query and return its rows; placeholders are written `%s`."""
        raise NotImplementedError

    def execute(self, *statements: str) -> None:
        """Run statements, and commit."""
        raise NotImplementedError

    def tables(self, schema: str = "raw") -> dict[str, int]:
        """Return the tables of a schema with their row counts, those that begin with an underscore left out."""
        names = self.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", schema)
        return {
            name: self.rows(f'SELECT count(*) FROM "{schema}"."{name}"')[0][0]
            for (name,) in sorted(names)
            if not name.startswith("_")
        }

    def columns(self, table: str, schema: str = "raw") -> dict[str, str]:
        """Return the columns of a table with their types, dlt's own left out."""
        found = self.rows(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            schema,
            table,
        )
        return {name: kind.lower() for name, kind in sorted(found) if not name.startswith("_dlt")}

    def exists(self, table: str, schema: str = "raw") -> bool:
        return bool(
            self.rows(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", schema, table
            )
        )


class DuckDB(Sink):
    name = "duckdb"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = f"duckdb:///{path}"

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        import duckdb

        if not self.path.exists():
            return []
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query.replace("%s", "?"), arguments).fetchall()

    def execute(self, *statements: str) -> None:
        import duckdb

        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)


class Postgres(Sink):
    name = "postgres"

    def __init__(self, address: str) -> None:
        self.address = address

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        import psycopg2

        connection = psycopg2.connect(self.address)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query, arguments or None)
                return cursor.fetchall()
        finally:
            connection.close()

    def execute(self, *statements: str) -> None:
        import psycopg2

        connection = psycopg2.connect(self.address)
        try:
            with connection, connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()


@dataclass
class Outcome:
    """What a run told its parent, and what it logged."""

    loaded: Loaded
    log: list[str]
    events: list[Event] = field(default_factory=list)

    @property
    def rows(self) -> dict[str, int]:
        return {name: table["rows"] for name, table in self.loaded.tables.items()}

    def logged(self, *words: str) -> list[str]:
        """Return the log lines that hold all the words."""
        return [line for line in self.log if all(word in line for word in words)]


class Beside(threading.Thread):
    """A run that goes on while the test does something else.

    Attributes:
        log: its log lines.
        loaded: what it told at its end, if it went well.
        error: what it raised, if not.
    """

    def __init__(self, child: ChildProcess, log: list[str]) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.loaded: Loaded | None = None
        self.error: Exception | None = None
        self._child = child

    def run(self) -> None:
        try:
            self.loaded = self._child.run()
        except Exception as error:
            self.error = error

    def says(self, words: str) -> None:
        """Wait until a line of its log holds `words`."""
        wait_for(lambda: any(words in line for line in self.log) or not self.is_alive())
        assert any(words in line for line in self.log), self.log

    def reaches(self, file: Path) -> None:
        """Wait until the run has made a file."""
        wait_for(lambda: file.exists() or not self.is_alive())
        assert file.exists(), self.error


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait until a condition is true, and fail the test if it does not become so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.01)


class Runner:
    """Runs sources into one sink.

    Attributes:
        sink: where rows go.
        log: lines logged by the last run, also when it failed.
        events: its events.
        last_checkout: the folder `checkout` made last.
        known: ids of the loads that went well, as the record has them.
    """

    def __init__(self, folder: Path, sink: Sink) -> None:
        self.folder = folder
        self.sink = sink
        self.log: list[str] = []
        self.events: list[Event] = []
        self.last_checkout = folder
        self.known: list[str] = []
        self._numbers = itertools.count(1)

    def checkout(self, code: str | Mapping[str, str]) -> Path:
        """Write the files of a source into a folder of their own; a text alone is `shop.py`."""
        files = {"shop.py": code} if isinstance(code, str) else code
        root = self.last_checkout = self.folder / f"checkout-{secrets.token_hex(4)}"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_HEADER + textwrap.dedent(text))
        return root

    def job(
        self,
        code: str | Mapping[str, str] | Path,
        address: str = "custom://Shop",
        *,
        dataset: str = "raw",
        **options: Any,
    ) -> Job:
        """Return the job of a run; options go where they belong by their names, the rest to `SourceSpec`."""
        checkout = code if isinstance(code, Path) else self.checkout(code)
        work_dir = self.folder / f"work-{secrets.token_hex(4)}"
        work_dir.mkdir()
        run = {
            "state_key": "shop.load",
            "run_id": f"manual__{next(self._numbers)}",
            "run_type": "manual",
            "try_number": 1,
            "commit": "c0ffee" + "0" * 34,
        } | {name: options.pop(name) for name in _RUN if name in options}
        sink = {name: options.pop(name) for name in _SINK if name in options}
        job = {"known_load_ids": list(self.known)} | {name: options.pop(name) for name in _JOB if name in options}
        sink_address = options.pop("sink_address", self.sink.address)
        env_names = options.pop("env_names", [])
        return job_with(
            run=Run(dag_id="shop", task_id="load", map_index=-1, repository="https://example.org/sources", **run),
            source=SourceSpec(address=address, table=options.pop("source_table", "orders"), **options),
            sink=SinkSpec(address=sink_address, display_address=f"{self.sink.name}://***", dataset=dataset, **sink),
            checkout=str(checkout),
            base_dir=str(checkout),
            work_dir=str(work_dir),
            env_names=sorted(env_names),
            **job,
        )

    def child(
        self, job: Job, *, environ: Mapping[str, str] | None = None, entry: str | None = None, **options: Any
    ) -> ChildProcess:
        """Return the child process of a job, not yet run."""
        logger = logging.Logger("task", logging.DEBUG)
        lines = _LogLines()
        logger.addHandler(lines)
        self.log, self.events = lines.lines, []
        defaults: dict[str, Any] = {"on_event": self.events.append, "answer": lambda question: {"live": []}}
        if entry:
            environ = {**(environ or {}), "PYTHONPATH": str(Path(__file__).parent)}
            defaults["extra_args"] = ["--entry", f"entries:{entry}"]
        return ChildProcess(
            job, environ=child_environ(os.environ, environ or {}), logger=logger, **{**defaults, **options}
        )

    def __call__(
        self,
        code: str | Mapping[str, str] | Path,
        address: str = "custom://Shop",
        *,
        env: Mapping[str, str] | None = None,
        worker_env: Mapping[str, str] | None = None,
        entry: str | None = None,
        **options: Any,
    ) -> Outcome:
        """Run a source once.

        Args:
            code: text of `shop.py`, or files by name, or a folder that `checkout` made.
            address: the source's.
            env: what the DAG's author gives to the source.
            worker_env: what else is in the environment.
            entry: a function of `entries.py` to run in the child in place of the pipeline's.
            options: fields of the job's parts, by their names.

        Raises:
            NilusError: the run failed.
        """
        job = self.job(code, address, env_names=list(env or {}), **options)
        child = self.child(job, environ={**(worker_env or {}), **(env or {})}, entry=entry)
        outcome = Outcome(child.run(), self.log, self.events)
        self.known += outcome.loaded.load_ids
        return outcome

    @contextmanager
    def beside(
        self, job: Job, *, environ: Mapping[str, str] | None = None, entry: str | None = None
    ) -> Iterator[Beside]:
        """Run a job in a thread for the time of the block; afterwards it is over."""
        child = self.child(job, environ=environ, entry=entry)
        beside = Beside(child, self.log)
        beside.start()
        try:
            yield beside
        except BaseException:
            child.terminate()
            raise
        finally:
            beside.join(180)


def _sink(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    if name == "postgres":
        return Postgres(request.getfixturevalue("postgres_database"))
    return DuckDB(tmp_path / "lake.duckdb")


@pytest.fixture(params=["duckdb", "postgres"])
def run_source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runner]:
    """Run sources into each of the sinks."""
    return Runner(tmp_path, _sink(request.param, request, tmp_path))


@pytest.fixture
def run_duckdb(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    """Run sources into DuckDB, where the sink does not matter."""
    return Runner(tmp_path, _sink("duckdb", request, tmp_path))


@pytest.fixture
def run_postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    """Run sources into PostgreSQL."""
    return Runner(tmp_path, _sink("postgres", request, tmp_path))
