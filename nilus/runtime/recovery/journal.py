"""The journal: which load belongs to which run, kept in the sink beside the rows.

A row is committed after a package is normalized and before the first row of its load can land, so that whoever runs the
key next can tell what an interrupted run left behind, and so that a row is traced to the run and the Git commit
that loaded it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from dlt import Pipeline

from nilus.errors import StateError
from nilus.protocol.job import Run
from nilus.runtime.engine import pipeline_state
from nilus.runtime.engine.internals.state import decompress_state
from nilus.runtime.engine.sql_dataset import SqlDataset
from nilus.runtime.rows.reading.decision import Reading
from nilus.values.names import check_load_id

TABLE = "_airflow_loads"

# Names and dlt's data types.
_COLUMNS = {
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
}
ENTRY = (
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
)
_STATEFUL = ("cursor", "self-managed")
_LOAD_ID = "_dlt_load_id"
_INTERNAL = "_dlt_"


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


class Journal(Protocol):
    """How a sink keeps the journal. Every method commits what it changes before it returns."""

    def enter(self, run: Run, reading: Reading, load_ids: list[str], *, source: str) -> None:
        """Write one row for each load id, before anything of the load can land; makes what it needs.

        Args:
            run: who loads.
            reading: what was read; its interval is entered, where it has one.
            load_ids: of the normalized packages.
            source: file and class.
        """

    def open_entries(self, state_key: str, *, newer_than: str | None = None, run_id: str | None = None) -> list[Entry]:
        """Return the key's rows that are not marked swept, oldest load first; none if there is no journal yet.

        Args:
            state_key: whose.
            newer_than: a load id; loads that landed and are not newer are left out.
            run_id: if given, the loads of this run only.
        """

    def withdraw(self, load_id: str) -> None:
        """Remove the row of a load of which nothing was loaded."""

    def sweep(self, load_id: str, *, kept: Collection[str] = ()) -> dict[str, int]:
        """Remove the rows a load left in the tables of the dataset, and mark its entry swept, in one step.

        Args:
            load_id: whose rows.
            kept: tables whose rows stay.

        Returns:
            How many rows were removed, by table.
        """

    def rows(self, load_id: str) -> dict[str, int]:
        """Return how many rows of a load are in each table; dlt's own tables are left out."""

    def carried_state(self, load_id: str) -> dict[str, Any] | None:
        """Return the `sources` state that a load carried, as plain JSON; None if it carried none: it did not change."""


class SqlJournal:
    """The journal as a table `_airflow_loads` in the dataset of a SQL sink. See `Journal` for its methods.

    Args:
        pipeline: an active dlt pipeline; its destination and dataset are used.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def enter(self, run: Run, reading: Reading, load_ids: list[str], *, source: str) -> None:
        """See `Journal`."""
        with self._dataset() as dataset:
            dataset.make(TABLE, _COLUMNS)
            places = ", ".join(["%s"] * len(_COLUMNS))
            for load_id in load_ids:
                dataset.execute(
                    f"INSERT INTO {dataset.table(TABLE)} ({dataset.names(_COLUMNS)}) VALUES ({places})",  # noqa: S608
                    *row(run, reading, load_id, source).values(),
                )

    def open_entries(self, state_key: str, *, newer_than: str | None = None, run_id: str | None = None) -> list[Entry]:
        """See `Journal`."""
        with self._dataset() as dataset:
            if not dataset.exists(TABLE):
                return []
            landed = _landed_condition(dataset)
            conditions = [f"{dataset.name('state_key')} = %s", f"{dataset.name('swept_at')} IS NULL"]
            values = [state_key]
            if newer_than is not None:
                newer = f"{dataset.dialect.number(dataset.name('load_id'))} > {dataset.dialect.number('%s')}"
                conditions.append(f"(NOT {landed} OR {newer})")
                values.append(newer_than)
            if run_id is not None:
                conditions.append(f"{dataset.name('run_id')} = %s")
                values.append(run_id)
            rows = dataset.execute(
                f"SELECT {dataset.names(ENTRY)}, {landed} FROM {dataset.table(TABLE)}"  # noqa: S608
                f" WHERE {' AND '.join(conditions)}",
                *values,
            )
        entries = [_entry(dataset, row) for row in rows]
        return sorted(entries, key=lambda entry: float(entry.load_id))

    def withdraw(self, load_id: str) -> None:
        """See `Journal`."""
        with self._dataset() as dataset:
            dataset.execute(
                f"DELETE FROM {dataset.table(TABLE)} WHERE {dataset.name('load_id')} = %s",  # noqa: S608
                load_id,
            )

    def sweep(self, load_id: str, *, kept: Collection[str] = ()) -> dict[str, int]:
        """See `Journal`."""
        with self._dataset() as dataset, dataset.transaction():
            removed = {name: count for name, count in _count(dataset, load_id).items() if name not in kept}
            for name in removed:
                dataset.execute(
                    f"DELETE FROM {dataset.table(name)} WHERE {dataset.name(_LOAD_ID)} = %s",  # noqa: S608
                    load_id,
                )
            dataset.execute(
                f"UPDATE {dataset.table(TABLE)} SET {dataset.name('swept_at')} = %s"  # noqa: S608
                f" WHERE {dataset.name('load_id')} = %s",
                datetime.now(UTC),
                load_id,
            )
        return removed

    def rows(self, load_id: str) -> dict[str, int]:
        """See `Journal`."""
        with self._dataset() as dataset:
            return {name: count for name, count in _count(dataset, load_id).items() if not name.startswith(_INTERNAL)}

    def carried_state(self, load_id: str) -> dict[str, Any] | None:
        """See `Journal`."""
        with self._dataset() as dataset:
            rows = dataset.execute(
                f"SELECT {dataset.name('state')} FROM {dataset.table(dataset.schema.state_table_name)}"  # noqa: S608
                f" WHERE {dataset.name(_LOAD_ID)} = %s",
                load_id,
            )
        return pipeline_state.to_plain(decompress_state(rows[0][0]).get("sources", {})) if rows else None

    @contextmanager
    def _dataset(self) -> Iterator[SqlDataset]:
        client: Any = self._pipeline.destination_client()
        with client:
            yield SqlDataset(client)


def _entry(dataset: SqlDataset, row: tuple[Any, ...]) -> Entry:
    values = dict(zip((*ENTRY, "landed"), row, strict=True))
    values |= {"landed": bool(values["landed"]), "started_at": dataset.dialect.moment(values["started_at"])}
    return Entry(**values)


def _landed_condition(dataset: SqlDataset) -> str:
    """Return the condition that a row of the journal is about a complete load."""
    loads = dataset.schema.loads_table_name
    if not dataset.exists(loads):  # a first run that died before dlt made its tables
        return "FALSE"
    load_id = dataset.name("load_id")
    complete = f"SELECT {load_id} FROM {dataset.table(loads)} WHERE {dataset.name('status')} = 0"  # noqa: S608
    return f"({dataset.table(TABLE)}.{load_id} IN ({complete}))"


def _count(dataset: SqlDataset, load_id: str) -> dict[str, int]:
    """Return how many rows of a load are in each table that has any."""
    counts = {}
    for name in dataset.tables_with(_LOAD_ID):
        query = f"SELECT count(*) FROM {dataset.table(name)} WHERE {dataset.name(_LOAD_ID)} = %s"  # noqa: S608
        ((count,),) = dataset.execute(query, load_id)
        if count:
            counts[name] = count
    return counts


def row(run: Run, reading: Reading, load_id: str, source: str) -> dict[str, Any]:
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
    }
    return {name: known[name] for name in _COLUMNS}


def _date(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
