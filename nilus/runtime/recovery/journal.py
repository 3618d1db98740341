"""The journal: which load belongs to which run, kept in the sink beside the rows.

A row is committed after a package is normalized and before the first row of its load can land, so that whoever runs the
key next can tell what an interrupted run left behind, and so that a row is traced to the run and the Git commit
that loaded it. The row is also the right to write: see `nilus.runtime.recovery.fence`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from nilus.errors import StateError
from nilus.protocol.job import Run
from nilus.runtime.engine import pipeline_state
from nilus.runtime.engine.internals.state import decompress_state
from nilus.runtime.rows.reading.decision import Reading
from nilus.values.names import check_load_id

TABLE: Final = "_airflow_loads"

COLUMNS: Final = {
    "load_id": "text",
    "state_key": "text",
    "dag_id": "text",
    "task_id": "text",
    "map_index": "bigint",
    "run_id": "text",
    "try_number": "bigint",
    "logical_date": "timestamp",
    "interval_start": "timestamp",
    "interval_end": "timestamp",
    "repository": "text",
    "commit": "text",
    "source": "text",
    "reading": "text",
    "started_at": "timestamp",
    "swept_at": "timestamp",
    "fence": "text",
    "taken_by": "text",
    "session": "text",
}
"""Names and dlt's data types. `fence` is drawn anew each time a load is entered; `taken_by` names the attempt that took
the load over, before anything of it is removed; `swept_at` is when that was done; `session` is the one that holds the
staging tables, where the sink has a lock for them."""

ENTRY: Final = (
    "load_id",
    "state_key",
    "dag_id",
    "task_id",
    "map_index",
    "run_id",
    "try_number",
    "commit",
    "reading",
    "started_at",
    "interval_start",
    "interval_end",
)
MOMENTS: Final = tuple(name for name in ENTRY if COLUMNS[name] == "timestamp")
"""Those of `ENTRY` that are points in time, or None."""

_STATEFUL = ("cursor", "self-managed")

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the journal.

    `reading` is what the run read: `full`, `windowed`, `cursor` or `self-managed`. `landed` tells whether the load is
    complete (in `_dlt_loads` with status 0).
    """

    load_id: str
    state_key: str
    dag_id: str
    task_id: str
    map_index: int
    run_id: str
    try_number: int
    commit: str
    reading: str
    started_at: datetime
    landed: bool
    interval_start: datetime | None = None
    interval_end: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a load id that would lead elsewhere as a part of a path.

        Raises:
            StateError: somebody else wrote the row.
        """
        try:
            check_load_id(self.load_id)
        except ValueError as problem:
            raise StateError(
                f"The journal {TABLE} holds an entry that cannot be used",
                expected="the load id that dlt gave",
                found=str(problem),
                remedy=f"remove the entry from {TABLE}; look who else writes there",
            ) from None

    @property
    def keeps_state(self) -> bool:
        """Whether the load carried a state that belongs into the record."""
        return self.reading in _STATEFUL

    def newer_than(self, load_id: str) -> bool:
        """Whether the load began after another one."""
        return float(self.load_id) > float(load_id)


class Rows(Protocol):
    """What a sink does for its journal. Every method commits what it changes before it returns, but in `settling`."""

    def insert(self, rows: list[Row]) -> None:
        """Add rows, each with all `COLUMNS`; makes what it needs."""

    def open_entries(self, state_key: str, newer_than: str | None) -> list[tuple[Row, bool]]:
        """Return the key's rows that are not marked swept, and whether each has landed; none without a journal.

        Args:
            state_key: whose.
            newer_than: a load id; loads that landed and are not newer may be left out.
        """

    def newest(self, state_key: str) -> float | None:
        """Return the largest load id of the key, swept ones included."""

    def settling(self) -> AbstractContextManager[None]:
        """Commit what the block does together, where the sink can."""

    def take(self, load_id: str, by: str | None) -> None:
        """Note who takes a load over; from the return on, nothing of its own process can land. None gives it back."""

    def has_landed(self, load_id: str) -> bool:
        """Tell whether a load is complete."""

    def delete(self, load_id: str, kept: Collection[str]) -> dict[str, int]:
        """Remove the rows of a load from all tables but the kept ones; return how many, by table."""

    def mark(self, load_id: str, swept_at: datetime) -> None:
        """Note that a load is swept."""

    def remove(self, load_id: str) -> None:
        """Remove the row of a load."""

    def count(self, load_id: str) -> dict[str, int]:
        """Return how many rows of a load are in each table that has any; dlt's tables and the journal's left out."""

    def state(self, load_id: str) -> str | None:
        """Return the state that a load carried, as dlt stores it; None if it carried none."""

    def sweep_again(self, state_key: str, kept: Collection[str]) -> None:
        """Remove what processes that lost their loads wrote after that, where the sink cannot refuse it.

        Called after `open_entries`, which may have found whose.
        """


class Journal:
    """The journal of one sink.

    Args:
        rows: how the sink keeps it.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def enter(
        self, run: Run, reading: Reading, load_ids: list[str], *, source: str, session: str | None = None
    ) -> dict[str, str]:
        """Write one row for each load id, before anything of the load can land.

        Args:
            run: who loads.
            reading: what was read; its interval is entered, where it has one.
            load_ids: of the normalized packages.
            source: file and class.
            session: the one that holds the staging tables.

        Returns:
            The fence of each load.
        """
        rows = [{**row(run, reading, load_id, source), "session": session} for load_id in load_ids]
        self.rows.insert(rows)
        return {one["load_id"]: one["fence"] for one in rows}

    def open_entries(self, state_key: str, *, newer_than: str | None = None) -> list[Entry]:
        """Return the key's rows that are not marked swept, oldest load first; none if there is no journal yet.

        Args:
            state_key: whose.
            newer_than: a load id; loads that landed and are not newer are left out.
        """
        entries = [
            Entry(**{name: found[name] for name in ENTRY}, landed=landed)
            for found, landed in self.rows.open_entries(state_key, newer_than)
        ]
        wanted = [entry for entry in entries if newer_than is None or not entry.landed or entry.newer_than(newer_than)]
        return sorted(wanted, key=lambda entry: float(entry.load_id))

    def newest(self, state_key: str) -> float:
        """Return the largest load id of the key as a number, swept ones included; 0 if there is none."""
        return self.rows.newest(state_key) or 0.0

    def withdraw(self, load_id: str) -> None:
        """Remove the row of a load of which nothing was loaded."""
        self.rows.remove(load_id)

    def sweep(
        self, load_id: str, *, by: str, kept: Collection[str] = (), unfinished: bool = False
    ) -> dict[str, int] | None:
        """Take a load over, remove the rows it left in the tables of the dataset, and mark its row swept.

        The right to write goes first: what the load's own process does after that is refused. Only then is looked
        whether it has landed.

        Args:
            load_id: whose rows.
            by: who does it, for the process that loses the load: `attempt 2 of run …`.
            kept: tables whose rows stay.
            unfinished: the load had not landed when it was looked at; if it has meanwhile, it stays as it is.

        Returns:
            How many rows were removed, by table; None if the load landed meanwhile.
        """
        with self.rows.settling():
            self.rows.take(load_id, by)
            if unfinished and self.rows.has_landed(load_id):
                self.rows.take(load_id, None)
                return None
            removed = self.rows.delete(load_id, kept)
            self.rows.mark(load_id, datetime.now(UTC))
        return removed

    def sweep_again(self, state_key: str, *, kept: Collection[str] = ()) -> None:
        """Remove what processes that lost loads of the key wrote after that, where the sink cannot refuse it."""
        self.rows.sweep_again(state_key, kept)

    def count(self, load_id: str) -> dict[str, int]:
        """Return how many rows of a load are in each table; dlt's own tables are left out."""
        return self.rows.count(load_id)

    def carried_state(self, load_id: str) -> dict[str, Any] | None:
        """Return the `sources` state that a load carried, as plain JSON; None if it carried none: it did not change."""
        state = self.rows.state(load_id)
        return None if state is None else pipeline_state.to_plain(decompress_state(state).get("sources", {}))


def row(run: Run, reading: Reading, load_id: str, source: str) -> Row:
    """Return the row of a load that is about to begin, by column, in the order the table has them.

    Args:
        run: who loads.
        reading: what was read.
        load_id: of the normalized package.
        source: file and class.
    """
    interval = reading.interval or (None, None)
    known = {
        "load_id": load_id,
        "state_key": run.state_key,
        "dag_id": run.dag_id,
        "task_id": run.task_id,
        "map_index": run.map_index,
        "run_id": run.run_id,
        "try_number": run.try_number,
        "logical_date": _date(run.logical_date),
        "interval_start": _date(interval[0]),
        "interval_end": _date(interval[1]),
        "repository": run.repository,
        "commit": run.commit,
        "source": source,
        "reading": reading.journal_kind,
        "started_at": datetime.now(UTC),
        "swept_at": None,
        "fence": secrets.token_hex(8),
        "taken_by": None,
        "session": None,
    }
    return {name: known[name] for name in COLUMNS}


def _date(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
