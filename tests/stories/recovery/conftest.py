"""A run as the hook makes it, without Airflow: its turn at the record, a real child, the sink."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from file_lake import FileLake
from forked_child import ForkedChild
from job_fixture import change_job, job_with
from kill_table import KILLED
from lake_reader import LakeReader

from airflow_provider_nilus.child.process import ChildProcess
from airflow_provider_nilus.state.package_store import PackageStore
from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.record_session import RecordSession
from airflow_provider_nilus.task.child_environment import child_environ
from nilus.environment import Environment
from nilus.errors import NilusError
from nilus.protocol.events import Adopted, Loaded, PackageRequest, Question
from nilus.protocol.job import Job, Run, SinkSpec, SourceSpec

HERE = Path(__file__).resolve().parent
# The child ends within a second of its parent's death; the rest is room for a busy machine.
CHILD_BOUND = 15.0


class FileStore:
    """Keeps records in a folder that survives the worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> Record:
        path = self._folder / key
        return Record.from_json(path.read_text(), key=key) if path.exists() else Record(key=key)

    def write(self, record: Record) -> None:
        staged = self._folder / f".{record.key}"
        staged.write_text(record.to_json())
        staged.replace(self._folder / record.key)


@dataclass
class World:
    """A sink, a store and a task that loads from one into the other.

    Attributes:
        address: of the sink.
        query: runs a statement in the sink and returns its rows.
        live: run ids whose task instance Airflow would say is running.
        cleared: run ids that Airflow would say were cleared.
        deleted: run ids that Airflow would not know any more.
        packages: the package store, where the deployment has one.
        source: address of the source that runs.
        environ: more variables for the child.
        environment: what the child runs in.
        instance: what is different of the task instance: `map_index`, `keyed_by_name`.
        note: takes what was killed where, for the table at the end of the test run.
    """

    address: str
    query: Callable[[str], list[tuple[Any, ...]]]
    store: FileStore
    checkout: Path
    live: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    cursors: ClassVar[tuple[str, ...]] = ("items", "notes", "latest")
    tries: Counter = field(default_factory=Counter)
    packages: PackageStore | None = None
    source: str = "custom://Everything"
    environ: dict[str, str] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    instance: dict[str, Any] = field(default_factory=dict)
    note: Callable[[str], Any] = str

    def run(
        self,
        run_id: str,
        rows: int,
        *,
        kill_at: str | None = None,
        kill_after: float | None = None,
        commit: bool = True,
        run_type: str = "scheduled",
        before_commit: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> Loaded:
        """Run the task once: one try of one run. `commit=False` is a worker that dies before the record is written."""
        self.tries[run_id] += 1
        if kill_at or kill_after is not None:
            self.note(f"{self.environ.get('NILUS_KILL_WHO', 'child')}|{kill_at or 'random time'}")
        turn = RecordSession(
            self.store,
            "d.t",
            run_id=run_id,
            run_type="scheduled",
            commit="c" * 40,
            on_rerun=options.get("on_rerun", "replace"),
            try_number=self.tries[run_id],
            first_try=options.get("first_attempt", 1),
            cleared=lambda runs: [run for run in runs if run in self.cleared],
            deleted=lambda runs: [run for run in runs if run in self.deleted],
        )
        begun = turn.begin()
        work_dir = tempfile.mkdtemp(prefix="nilus-recovery-")
        try:
            job = job_with(
                run=Run(
                    state_key="d.t",
                    dag_id="d",
                    task_id="t",
                    run_id=run_id,
                    run_type=run_type,
                    try_number=self.tries[run_id],
                    repository="https://example.com/sources",
                    commit="c" * 40,
                    **{"map_index": -1, **self.instance},
                ),
                source=SourceSpec(address=self.source, table="t", max_table_nesting=1),
                sink=SinkSpec(address=self.address, display_address="the sink", dataset="raw"),
                checkout=str(self.checkout),
                base_dir=str(self.checkout),
                work_dir=work_dir,
                sources=begun.base.state,
                known_load_ids=list(begun.known),
                replaces=list(begun.replaces),
                removes_after=begun.removes_after,
                adopt=begun.adopt,
                directed_at=begun.directed_at.isoformat() if begun.directed_at else None,
                keeps_packages=self.packages is not None,
            )
            job = change_job(job, **options)
            loaded = self._child(job, turn, rows, kill_at, kill_after).run()
        finally:
            shutil.rmtree(work_dir)
        before_commit()
        if commit:
            turn.commit(loaded)
            if self.packages is not None:
                known = (*begun.known, *begun.replaces, *self.store.read("d.t").known_load_ids)
                self.packages.remove_settled({*loaded.load_ids, *known}, run=job.run)
        return loaded

    def killed(self, run_id: str, rows: int, **arguments: Any) -> None:
        """Run a try that is to die before its end."""
        with pytest.raises(NilusError, match="signal 9"):
            self.run(run_id, rows, **arguments)

    def killed_with_its_parent(self, run_id: str, rows: int, *, kill_at: str, who: str) -> None:
        """Run a try in a process of its own, whose child kills it there, and itself as well if `who` is `both`.

        Returns when the child is gone, too: by itself, if only its parent was killed.
        """
        self.note(f"{who}|{kill_at}")
        scratch = self.checkout.parent / "scratch"
        scratch.mkdir(exist_ok=True)
        pid = scratch / "child"
        self.tries[run_id] += 1
        environ = {**self.environ, "NILUS_KILL_WHO": who, "NILUS_CHILD_PID": str(pid)}
        parent = multiprocessing.get_context("fork").Process(
            target=_try_in, args=(self, environ, scratch, run_id, rows, kill_at)
        )
        parent.start()
        parent.join(180)
        assert parent.exitcode == -signal.SIGKILL, f"the parent was not killed at {kill_at}: {parent.exitcode}"
        died = time.monotonic()
        while psutil.pid_exists(int(pid.read_text())):
            assert time.monotonic() - died < CHILD_BOUND, "the child outlived its parent"
            time.sleep(0.01)
        shutil.rmtree(scratch)

    def _child(
        self, job: Job, turn: RecordSession, rows: int, kill_at: str | None, kill_after: float | None
    ) -> ChildProcess | ForkedChild:
        environ = {
            **child_environ(os.environ, {}),
            **self.environ,
            "ROWS": str(rows),
            "PYTHONPATH": str(HERE.parents[1] / "fixtures"),
        }
        if kill_at:
            environ["NILUS_KILL_AT"] = kill_at
        if kill_after is not None:
            environ["NILUS_KILL_AFTER"] = str(kill_after)
        if kill_at or kill_after is not None:
            # What is killed leaves no measurement, and measuring takes time.
            environ.pop("COVERAGE_PROCESS_CONFIG", None)

        def on_event(event: Any) -> None:
            if isinstance(event, Adopted):
                turn.adopt(event)

        if self.environment == Environment() and "NILUS_KILL_WHO" not in environ:
            return ForkedChild(job, environ, "kill_points:run", on_event, self._answer)
        return ChildProcess(
            job,
            environ=self.environment.variables(environ),
            python=self.environment.python,
            program=self.environment.program,
            logger=logging.getLogger("recovery"),
            on_event=on_event,
            answer=self._answer,
            extra_args=["--entry", "kill_points:run"],
        )

    def _answer(self, asked: Question) -> dict[str, Any]:
        if isinstance(asked, PackageRequest):
            assert self.packages is not None
            return self.packages.answer(asked)
        return {"live": [entry["load_id"] for entry in asked.entries if entry["run_id"] in self.live]}

    def truth(self, rows: int) -> dict[str, Counter]:
        """What the tables must hold after every row up to `rows` was loaded once."""
        latest = {number % 20: number for number in range(1, rows + 1)}
        return {
            "items": Counter((number,) for number in range(1, rows + 1)),
            "items__tags": Counter((f"{number}-{letter}",) for number in range(1, rows + 1) for letter in "ab"),
            "notes": Counter((number, f"note {number}") for number in range(1, rows + 1)),
            "latest": Counter(latest.items()),
            "whole": Counter((number,) for number in range(rows)),
        }

    def tables(self) -> dict[str, Counter]:
        """What the tables hold."""
        columns = {"items": "id", "items__tags": "tag", "notes": "id, text", "latest": "id, number", "whole": "id"}
        return {
            table: Counter(tuple(row) for row in self.query(f"SELECT {names} FROM raw.{table}"))
            for table, names in columns.items()
        }

    def check(self, rows: int) -> None:
        """Every row once, the record's state true, no orphan rows, no unsettled entry of the journal."""
        assert self.tables() == self.truth(rows)
        record = self.store.read("d.t")
        resources = record.state["everything"]["resources"]
        assert {name: resources[name] for name in self.cursors} == {name: {"last": rows} for name in self.cursors}
        self.assert_settled()

    def assert_settled(self) -> None:
        """No row of a load that is not complete, and no entry of the journal that is unsettled."""
        landed = {load_id for (load_id,) in self.query("SELECT load_id FROM raw._dlt_loads WHERE status = 0")}
        for table in ("items", "items__tags", "notes"):
            found = {load_id for (load_id,) in self.query(f"SELECT DISTINCT _dlt_load_id FROM raw.{table}")}
            assert found <= landed, f"orphan rows in {table}"
        open_entries = self.query("SELECT load_id FROM raw._airflow_loads WHERE swept_at IS NULL")
        assert {load_id for (load_id,) in open_entries} <= landed


@dataclass
class FilesWorld(World):
    """A world whose sink is files, which cannot be merged: the resource `latest` is left out.

    Attributes:
        lake: the sink, as others read it.
    """

    lake: FileLake = field(kw_only=True)
    cursors: ClassVar[tuple[str, ...]] = ("items", "notes")

    def run(self, run_id: str, rows: int, **options: Any) -> Loaded:
        credentials = self.lake.server.credentials if self.lake.server else {}
        sink = SinkSpec(address=self.address, display_address="the sink", dataset="raw", credentials=credentials)
        return super().run(run_id, rows, sink=sink, resources=["items", "notes", "whole"], **options)

    def truth(self, rows: int) -> dict[str, Counter]:
        return {table: counts for table, counts in super().truth(rows).items() if table != "latest"}

    def tables(self) -> dict[str, Counter]:
        columns = {"items": ["id"], "items__tags": ["tag"], "notes": ["id", "text"], "whole": ["id"]}
        return {
            table: Counter(tuple(row[name] for name in names) for row in self.lake.rows(table))
            for table, names in columns.items()
        }

    def assert_settled(self) -> None:
        self.lake.assert_settled()


def _try_in(world: World, environ: dict[str, str], scratch: Path, run_id: str, rows: int, kill_at: str) -> None:
    """Be the worker: run a try; nothing of the test session is torn down here."""
    tempfile.tempdir = str(scratch)
    try:
        world.tries[run_id] -= 1
        dataclasses.replace(world, environ=environ, note=str).run(run_id, rows, kill_at=kill_at)
    finally:
        os._exit(3)


def _duckdb_query(path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    def query(statement: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(statement).fetchall()

    return query


def _postgres_query(url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    def query(statement: str) -> list[tuple[Any, ...]]:
        import psycopg2

        connection = psycopg2.connect(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    return query


def _sqlite_query(path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    def query(statement: str) -> list[tuple[Any, ...]]:
        import sqlite3

        connection = sqlite3.connect(path)
        try:
            connection.execute("ATTACH ? AS raw", (str(path.with_name(f"{path.stem}__raw{path.suffix}")),))
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    return query


def _files_world(
    sink: str, tmp_path: Path, request: pytest.FixtureRequest, store: FileStore, checkout: Path
) -> FilesWorld:
    place, _, table_format = sink.partition("-")
    server = request.getfixturevalue("s3") if place == "s3" else None
    address = f"s3://{request.getfixturevalue('s3_bucket')}/lake" if server else f"file://{tmp_path}/lake"
    if "delta" in (place, table_format):
        address += "?table_format=delta"
    lake = FileLake(address, server=server)
    return FilesWorld(address, lambda statement: [], store, checkout, lake=lake)


@pytest.fixture
def make_world(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], World]:
    """`make_world("duckdb" | "postgres" | "sqlite" | "mariadb")`: a world with an empty sink."""

    def make(sink: str) -> World:
        checkout, store = tmp_path / "checkout", tmp_path / "store"
        checkout.mkdir()
        store.mkdir()
        shutil.copy(HERE / "source.py", checkout)
        if sink == "duckdb":
            path = tmp_path / "lake.duckdb"
            return World(f"duckdb:///{path}", _duckdb_query(path), FileStore(store), checkout)
        if sink in ("files", "delta", "s3", "s3-delta"):
            return _files_world(sink, tmp_path, request, FileStore(store), checkout)
        if sink == "lakehouse":
            reader = LakeReader.local(tmp_path / "lake")
            return World(f"iceberg://{tmp_path}/lake", reader.query, FileStore(store), checkout)
        if sink == "sqlite":
            path = tmp_path / "lake.db"
            return World(f"sqlite:///{path}", _sqlite_query(path), FileStore(store), checkout)
        if sink == "mariadb":
            server = request.getfixturevalue("mariadb_empty")
            return World(server.url, server.rows, FileStore(store), checkout)
        url = request.getfixturevalue("postgres_database")
        return World(url, _postgres_query(url), FileStore(store), checkout)

    def noted(sink: str) -> World:
        world = make(sink)
        world.note = lambda what: request.node.user_properties.append((KILLED, f"{sink}|{what}"))
        return world

    return noted
