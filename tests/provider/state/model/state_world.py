"""One task, its runs, its record and its sink, all in this process, with a death between any two steps.

What decides is real: the turn at the record, where a run starts from, settling, confirming, the journal in DuckDB.
Airflow is a dictionary of states, the record lives in a dictionary, and dlt's load is five statements: two jobs of
rows, the state, and the row in `_dlt_loads`. A death is an exception that nothing catches, raised between statements.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import dlt
import duckdb
from dlt.common.versioned_state import compress_state
from job_fixture import job_with

from airflow_provider_nilus.state.record import Directive, Record
from airflow_provider_nilus.state.record_session import RecordSession
from airflow_provider_nilus.task import states as task_states
from nilus.errors import StateConflict, StateError
from nilus.protocol.events import Adopted, Loaded
from nilus.protocol.job import Run, SinkSpec, SourceSpec
from nilus.runtime.engine.sql_dataset import SqlDataset
from nilus.runtime.recovery import settle
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.recovery.sql_journal import SqlRows
from nilus.runtime.rows.reading.decision import Reading

KEY = "d.t"
CURSOR = Reading("self-managed", None, None, reads_state=True, keeps_state=True)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """The process is dead: nothing may catch this."""


class Clock:
    """Counts steps, and kills at one of them."""

    def __init__(self):
        self.left = None

    def tick(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed


class MortalDataset(SqlDataset):
    """A dataset in which the process may die before and after every statement."""

    def __init__(self, client, clock):
        super().__init__(client)
        self._clock = clock

    def execute(self, statement, *values):
        self._clock.tick()
        rows = super().execute(statement, *values)
        self._clock.tick()
        return rows


class MortalRows(SqlRows):
    """The real rows, on such a dataset. dlt's client is made once: that takes most of the time."""

    def __init__(self, pipeline, clock):
        super().__init__(pipeline)
        self._clock = clock
        self._client = pipeline.destination_client()

    @contextmanager
    def _dataset(self):
        if self._settling is not None:
            yield self._settling
            return
        with self._client:
            yield MortalDataset(self._client, self._clock)


class MortalStore:
    """Keeps records as texts; the process may die before and after each write."""

    def __init__(self, clock):
        self._clock = clock
        self._texts = {}

    def read(self, key):
        text = self._texts.get(key)
        return Record(key=key) if text is None else Record.from_json(text, key=key)

    def write(self, record):
        self._clock.tick()
        self._texts[record.key] = record.to_json()
        self._clock.tick()


class StateWorld:
    """The task and all it has to do with.

    Attributes:
        source: how many rows the source has; their ids count from 1.
        states: Airflow's word for each run's task instance; None is cleared.
        windows: the ids each windowed run is to read.
    """

    def __init__(self, folder):
        self.clock = Clock()
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self.pipeline = dlt.pipeline(
            "state_model",
            pipelines_dir=str(folder),
            destination=dlt.destinations.duckdb(self.connection),
            dataset_name="raw",
        )
        self.journal = Journal(MortalRows(self.pipeline, self.clock))
        self.store = MortalStore(self.clock)
        self.source = 0
        self.states = {}
        self.tries = Counter()
        self.windows = {}
        self._load_ids = count(1)

    def close(self):
        self.pipeline.deactivate()
        self.connection.close()

    # What people and Airflow do.

    def run(self, run_id, *, die_after=None, on_rerun="replace"):
        """Run a try; return what came of it: "success", "killed", or the error."""
        self.tries[run_id] += 1
        self.states[run_id] = "running"
        self.clock.left = die_after
        try:
            self._try(run_id, on_rerun)
        except Killed:
            self.states[run_id] = "failed"
            return "killed"
        except StateError as error:
            self.states[run_id] = "failed"
            return error
        else:
            self.states[run_id] = "success"
            return "success"
        finally:
            self.clock.left = None

    def reset(self):
        """Forget the state, and have the next run remove every row that was loaded by it."""
        record = self.store.read(KEY)
        newest = max(record.known_load_ids, key=float, default=None)
        directive = Directive(
            verb="reset", version=record.version + 1, at=datetime.now(UTC), since=newest, removes_after="0.0"
        )
        self.store.write(record.take_back(len(record.commits), directive))

    # What can be seen from outside.

    @property
    def record(self):
        return self.store.read(KEY)

    def last(self, state):
        return state.get("s", {}).get("last", 0)

    def rows(self, table):
        """The ids in a table by load id; only those of complete loads may be there for long."""
        if not self._exists(table):
            return []
        return self.connection.execute(f"SELECT id, _dlt_load_id FROM raw.{table}").fetchall()

    def landed(self):
        if not self._exists("_dlt_loads"):
            return set()
        return {load_id for (load_id,) in self.connection.execute("SELECT load_id FROM raw._dlt_loads").fetchall()}

    def open_entries(self):
        """The journal's rows that are not swept: load id to run id and reading."""
        if not self._exists("_airflow_loads"):
            return {}
        found = self.connection.execute(
            "SELECT load_id, run_id, reading FROM raw._airflow_loads WHERE swept_at IS NULL"
        ).fetchall()
        return {load_id: (run_id, reading) for load_id, run_id, reading in found}

    # One try, as the hook and the child do it.

    def _try(self, run_id, on_rerun):
        turn = RecordSession(
            self.store,
            KEY,
            run_id=run_id,
            run_type="backfill" if run_id in self.windows else "scheduled",
            commit="c" * 40,
            on_rerun=on_rerun,
            cleared=lambda runs: [run for run in runs if task_states.is_to_run_again(self.states.get(run))],
        )
        begun = turn.begin()
        while True:
            try:
                loaded = self._child(self._job(run_id, begun, on_rerun), turn)
                break
            except StateConflict:
                if not turn.begins_again:
                    raise
                begun = turn.begin()
        self.clock.tick()
        turn.commit(loaded)
        self.clock.tick()

    def _job(self, run_id, begun, on_rerun):
        return job_with(
            run=Run(
                state_key=KEY,
                dag_id="d",
                task_id="t",
                map_index=-1,
                run_id=run_id,
                run_type="scheduled",
                try_number=self.tries[run_id],
                repository="r",
                commit="c" * 40,
            ),
            source=SourceSpec(address="custom://S", table="t"),
            sink=SinkSpec(address="", display_address="", dataset="raw"),
            checkout="",
            base_dir="",
            work_dir="",
            sources=begun.base.state,
            known_load_ids=list(begun.known),
            replaces=list(begun.replaces),
            removes_after=begun.removes_after,
            adopt=begun.adopt,
            directed_at=begun.directed_at.isoformat() if begun.directed_at else None,
            on_rerun=on_rerun,
        )

    def _child(self, job, turn):
        window = self.windows.get(job.run.run_id)
        reading = CURSOR
        if window is not None:
            ends = (BEGIN + timedelta(days=day) for day in (window[0], window[-1] + 1))
            reading = Reading("self-managed", *ends, reads_state=False, keeps_state=False)
        channel = _Channel(self, turn)
        settlement = settle.settle(job, reading, self.journal, channel)
        if settlement.done is not None:
            rows = self.journal.count(settlement.done.load_id)
            return self._loaded(reading, [settlement.done.load_id], rows, settlement.state)
        last = self.last(settlement.state)
        ids = list(window if window is not None else range(last + 1, self.source + 1))
        if not ids:
            return self._loaded(reading, [], {}, settlement.state)
        state = {} if window is not None else {"s": {"last": self.source}}
        load_id = f"{next(self._load_ids)}.5"
        self.clock.tick()
        self.journal.enter(job.run, reading, [load_id], source="s")
        if reading.keeps_state:
            settle.confirm(job, reading, settlement, [load_id], self.journal, channel)
        table = "items" if window is None else "windows"
        self._load(table, load_id, ids, state)
        return self._loaded(reading, [load_id], {table: len(ids)}, state)

    def _loaded(self, reading, load_ids, rows, state):
        return Loaded(
            load_ids=load_ids,
            tables={table: {"rows": counted} for table, counted in rows.items()},
            dataset="raw",
            destination="duckdb",
            reading=reading.kind,
            keeps_state=reading.keeps_state,
            state=state if reading.keeps_state else {},
            seconds={},
        )

    def _load(self, table, load_id, ids, state):
        """dlt's load: each statement is a transaction of its own, `_dlt_loads` comes last."""
        half = len(ids) // 2
        for statement, rows in (
            ("CREATE TABLE IF NOT EXISTS raw._dlt_loads (load_id TEXT, status BIGINT)", None),
            ("CREATE TABLE IF NOT EXISTS raw._dlt_pipeline_state (state TEXT, _dlt_load_id TEXT)", None),
            (f"CREATE TABLE IF NOT EXISTS raw.{table} (id BIGINT, _dlt_load_id TEXT)", None),
            (f"INSERT INTO raw.{table} VALUES (?, ?)", [(id, load_id) for id in ids[:half]]),
            (f"INSERT INTO raw.{table} VALUES (?, ?)", [(id, load_id) for id in ids[half:]]),
            (
                "INSERT INTO raw._dlt_pipeline_state VALUES (?, ?)",
                [(compress_state({"sources": state}), load_id)] if state else [],
            ),
            ("INSERT INTO raw._dlt_loads VALUES (?, 0)", [(load_id,)]),
        ):
            self.clock.tick()
            if rows is None:
                self.connection.execute(statement)
            elif rows:
                self.connection.executemany(statement, rows)
            self.clock.tick()

    def _exists(self, table):
        found = self.connection.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'raw' AND table_name = ?", [table]
        )
        return found.fetchone() is not None


class _Channel:
    """The parent's side, as the hook has it; Airflow's states come from the world."""

    def __init__(self, world, turn):
        self._world = world
        self._turn = turn

    def ask(self, question):
        states = self._world.states
        if question.taking_back:
            self._turn.take_back()
        landed = [entry for entry in question.entries if entry["landed"]]
        said, live = {}, []
        for entry in question.entries:
            state = states.get(entry["run_id"], "gone")
            if task_states.is_running(state):
                live.append(entry["load_id"])
            said[entry["load_id"]] = "cleared" if state != "gone" and task_states.is_to_run_again(state) else str(state)
        answer = {"live": live, "states": said, "moved": bool(landed) and self._turn.has_moved(landed)}
        return json.loads(json.dumps(answer))

    def send(self, event):
        if isinstance(event, Adopted):
            self._turn.adopt(event)
