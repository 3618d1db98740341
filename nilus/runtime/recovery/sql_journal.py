"""The journal as a table `_airflow_loads` in the dataset of a SQL sink.

Beside it `_airflow_files` holds the load files that have landed, of loads that are not complete: a row is written in
the transaction of its file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from dlt import Pipeline

from nilus.runtime.engine.sql_dataset import SqlDataset
from nilus.runtime.recovery.journal import COLUMNS, ENTRY, MOMENTS, TABLE, Row

FILES_TABLE: Final = "_airflow_files"
LOAD_ID: Final = "_dlt_load_id"
"""dlt's column in every table with rows, and in `FILES_TABLE`."""

FILE_COLUMNS: Final = {LOAD_ID: "text", "file": "text"}
_INTERNAL = ("_dlt_", "_airflow_")


class SqlRows:
    """See `Rows` for the methods.

    Args:
        pipeline: an active dlt pipeline; its destination and dataset are used.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._settling: SqlDataset | None = None

    def insert(self, rows: list[Row]) -> None:
        """See `Rows`."""
        with self._dataset() as dataset:
            dataset.make(TABLE, COLUMNS, key=("load_id",))
            dataset.make(FILES_TABLE, FILE_COLUMNS, key=tuple(FILE_COLUMNS))
            places = ", ".join(["%s"] * len(COLUMNS))
            for row in rows:
                dataset.execute(
                    f"INSERT INTO {dataset.table(TABLE)} ({dataset.names(COLUMNS)}) VALUES ({places})",  # noqa: S608
                    *row.values(),
                )

    def open_entries(self, state_key: str, newer_than: str | None) -> list[tuple[Row, bool]]:
        """See `Rows`."""
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
            rows = dataset.execute(
                f"SELECT {dataset.names(ENTRY)}, {landed} FROM {dataset.table(TABLE)}"  # noqa: S608
                f" WHERE {' AND '.join(conditions)}",
                *values,
            )
            return [(_row(dataset, values), bool(has_landed)) for *values, has_landed in rows]

    def newest(self, state_key: str) -> float | None:
        """See `Rows`."""
        with self._dataset() as dataset:
            if not dataset.exists(TABLE):
                return None
            number = dataset.dialect.number(dataset.name("load_id"))
            ((newest,),) = dataset.execute(
                f"SELECT max({number}) FROM {dataset.table(TABLE)}"  # noqa: S608
                f" WHERE {dataset.name('state_key')} = %s",
                state_key,
            )
        return None if newest is None else float(newest)

    @contextmanager
    def settling(self) -> Iterator[None]:
        """See `Rows`."""
        with self._dataset() as dataset:
            dataset.make(TABLE, COLUMNS, key=("load_id",))
            with dataset.transaction():
                self._settling = dataset
                try:
                    yield
                finally:
                    self._settling = None

    def take(self, load_id: str, by: str | None) -> None:
        """See `Rows`. Waits for the transactions that have read the row with a lock."""
        self._set(load_id, "taken_by", by)

    def has_landed(self, load_id: str) -> bool:
        """See `Rows`."""
        with self._dataset() as dataset:
            loads = dataset.schema.loads_table_name
            if not dataset.exists(loads):
                return False
            found = dataset.execute(
                f"SELECT 1 FROM {dataset.table(loads)}"  # noqa: S608
                f" WHERE {dataset.name('load_id')} = %s AND {dataset.name('status')} = 0",
                load_id,
            )
        return bool(found)

    def delete(self, load_id: str, kept: Collection[str]) -> dict[str, int]:
        """See `Rows`."""
        with self._dataset() as dataset:
            removed = {name: count for name, count in _count(dataset, load_id).items() if name not in kept}
            for name in removed:
                dataset.execute(
                    f"DELETE FROM {dataset.table(name)} WHERE {dataset.name(LOAD_ID)} = %s",  # noqa: S608
                    load_id,
                )
        return {name: count for name, count in removed.items() if name != FILES_TABLE}

    def mark(self, load_id: str, swept_at: datetime) -> None:
        """See `Rows`."""
        self._set(load_id, "swept_at", swept_at)

    def remove(self, load_id: str) -> None:
        """See `Rows`."""
        with self._dataset() as dataset:
            if not dataset.exists(TABLE):
                return
            dataset.execute(
                f"DELETE FROM {dataset.table(TABLE)} WHERE {dataset.name('load_id')} = %s",  # noqa: S608
                load_id,
            )

    def count(self, load_id: str) -> dict[str, int]:
        """See `Rows`."""
        with self._dataset() as dataset:
            return {name: count for name, count in _count(dataset, load_id).items() if not name.startswith(_INTERNAL)}

    def state(self, load_id: str) -> str | None:
        """See `Rows`."""
        with self._dataset() as dataset:
            rows = dataset.execute(
                f"SELECT {dataset.name('state')} FROM {dataset.table(dataset.schema.state_table_name)}"  # noqa: S608
                f" WHERE {dataset.name(LOAD_ID)} = %s",
                load_id,
            )
        return str(rows[0][0]) if rows else None

    def sweep_again(self, state_key: str, kept: Collection[str]) -> None:
        """See `Rows`. Nothing: the sink refuses it."""

    def is_taken_session(self, session: str) -> bool:
        """Tell whether a session is of a worker whose load was taken over.

        Args:
            session: as the journal has it.
        """
        with self._dataset() as dataset:
            if not dataset.has(TABLE, "session"):
                return False
            return bool(
                dataset.execute(
                    f"SELECT 1 FROM {dataset.table(TABLE)}"  # noqa: S608
                    f" WHERE {dataset.name('session')} = %s AND {dataset.name('taken_by')} IS NOT NULL",
                    session,
                )
            )

    def _set(self, load_id: str, column: str, value: Any) -> None:
        with self._dataset() as dataset:
            dataset.execute(
                f"UPDATE {dataset.table(TABLE)} SET {dataset.name(column)} = %s"  # noqa: S608
                f" WHERE {dataset.name('load_id')} = %s",
                value,
                load_id,
            )

    @contextmanager
    def _dataset(self) -> Iterator[SqlDataset]:
        if self._settling is not None:
            yield self._settling
            return
        client: Any = self._pipeline.destination_client()
        with client:
            yield SqlDataset(client)


def _row(dataset: SqlDataset, values: list[Any]) -> Row:
    row = dict(zip(ENTRY, values, strict=True))
    return {**row, **{name: dataset.dialect.moment(row[name]) for name in MOMENTS if row[name] is not None}}


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
    for name in dataset.tables_with(LOAD_ID):
        query = f"SELECT count(*) FROM {dataset.table(name)} WHERE {dataset.name(LOAD_ID)} = %s"  # noqa: S608
        ((count,),) = dataset.execute(query, load_id)
        if count:
            counts[name] = count
    return counts
