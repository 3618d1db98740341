"""A run as the hook makes it, without Airflow: its turn at the record, a real child, the sink."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nilus.process import ChildProcess, child_environ
from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.turn import Turn
from nilus.errors import NilusError
from nilus.runtime.events import Adopted, Loaded
from nilus.runtime.job import Job, Run, SinkSpec, SourceSpec

HERE = Path(__file__).resolve().parent


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
    """

    address: str
    query: Callable[[str], list[tuple[Any, ...]]]
    store: FileStore
    checkout: Path
    live: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    tries: Counter = field(default_factory=Counter)

    def run(
        self,
        run_id: str,
        rows: int,
        *,
        kill_at: str | None = None,
        kill_after: float | None = None,
        commit: bool = True,
        **options: Any,
    ) -> Loaded:
        """Run the task once: one try of one run. `commit=False` is a worker that dies before the record is written."""
        self.tries[run_id] += 1
        turn = Turn(
            self.store,
            "d.t",
            run_id=run_id,
            run_type="scheduled",
            commit="c" * 40,
            on_rerun=options.get("on_rerun", "replace"),
            cleared=lambda runs: [run for run in runs if run in self.cleared],
        )
        begun = turn.begin()
        work_dir = tempfile.mkdtemp(prefix="nilus-recovery-")
        try:
            job = Job(
                run=Run(
                    state_key="d.t",
                    dag_id="d",
                    task_id="t",
                    map_index=-1,
                    run_id=run_id,
                    run_type="scheduled",
                    try_number=self.tries[run_id],
                    repository="https://example.com/sources",
                    commit="c" * 40,
                ),
                source=SourceSpec(address="custom://Everything", table="t", max_table_nesting=1),
                sink=SinkSpec(address=self.address, display_address="the sink", dataset="raw"),
                checkout=str(self.checkout),
                base_dir=str(self.checkout),
                work_dir=work_dir,
                state=begun.base.state,
                known_load_ids=list(begun.known),
                replaces=list(begun.replaces),
            )
            job = dataclasses.replace(job, **options)
            loaded = self._child(job, turn, rows, kill_at, kill_after).run()
        finally:
            shutil.rmtree(work_dir)
        if commit:
            turn.commit(loaded)
        return loaded

    def killed(self, run_id: str, rows: int, **arguments: Any) -> None:
        """Run a try that is to die before its end."""
        with pytest.raises(NilusError, match="signal 9"):
            self.run(run_id, rows, **arguments)

    def _child(self, job: Job, turn: Turn, rows: int, kill_at: str | None, kill_after: float | None) -> ChildProcess:
        environ = {**child_environ(os.environ, {}), "ROWS": str(rows), "PYTHONPATH": str(HERE.parent / "fixtures")}
        if kill_at:
            environ["NILUS_KILL_AT"] = kill_at
        if kill_after is not None:
            environ["NILUS_KILL_AFTER"] = str(kill_after)
        return ChildProcess(
            job,
            environ=environ,
            logger=logging.getLogger("recovery"),
            on_event=lambda event: turn.adopt(event) if isinstance(event, Adopted) else None,
            answer=lambda asked: {
                "live": [entry["load_id"] for entry in asked.entries if entry["run_id"] in self.live]
            },
            extra_args=["--entry", "kill_points:run"],
        )

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
        assert {name: resources[name] for name in ("items", "notes", "latest")} == {
            name: {"last": rows} for name in ("items", "notes", "latest")
        }
        landed = {load_id for (load_id,) in self.query("SELECT load_id FROM raw._dlt_loads WHERE status = 0")}
        for table in ("items", "items__tags", "notes"):
            found = {load_id for (load_id,) in self.query(f"SELECT DISTINCT _dlt_load_id FROM raw.{table}")}
            assert found <= landed, f"orphan rows in {table}"
        open_entries = self.query("SELECT load_id FROM raw._airflow_loads WHERE swept_at IS NULL")
        assert {load_id for (load_id,) in open_entries} <= landed


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
        if sink == "sqlite":
            path = tmp_path / "lake.db"
            return World(f"sqlite:///{path}", _sqlite_query(path), FileStore(store), checkout)
        if sink == "mariadb":
            server = request.getfixturevalue("mariadb_empty")
            return World(server.url, server.rows, FileStore(store), checkout)
        url = request.getfixturevalue("postgres_database")
        return World(url, _postgres_query(url), FileStore(store), checkout)

    return make
