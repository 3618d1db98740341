"""The journal: which load belongs to which run, kept in the sink beside the rows.

A row is committed after a package is normalized and before the first row of its load can land, so that whoever runs the
key next can tell what an interrupted run left behind, and so that a row is traced to the run and the Git commit
that loaded it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from dlt import Pipeline
from dlt.destinations.sql_client import SqlClientBase

from nilus.runtime.job import Run

TABLE = "_airflow_loads"
_COLUMNS: dict[str, str] = {
    "load_id": "VARCHAR(64) NOT NULL",
    "state_key": "VARCHAR(512) NOT NULL",
    "dag_id": "VARCHAR(512)",
    "task_id": "VARCHAR(512)",
    "map_index": "INTEGER",
    "run_id": "VARCHAR(512)",
    "try_number": "INTEGER",
    "logical_date": "TIMESTAMP WITH TIME ZONE",
    "interval_start": "TIMESTAMP WITH TIME ZONE",
    "interval_end": "TIMESTAMP WITH TIME ZONE",
    "repository": "VARCHAR(2048)",
    "commit": "VARCHAR(64)",
    "source": "VARCHAR(512)",
    "started_at": "TIMESTAMP WITH TIME ZONE NOT NULL",
    "swept_at": "TIMESTAMP WITH TIME ZONE",
}


@dataclass(frozen=True)
class Entry:
    """One row of the journal. `landed` tells whether the load is complete (`_dlt_loads`, status 0)."""

    load_id: str
    state_key: str
    dag_id: str | None
    task_id: str | None
    map_index: int | None
    run_id: str | None
    try_number: int | None
    started_at: datetime
    landed: bool


class Journal(Protocol):
    """How a sink keeps the journal."""

    def enter(self, run: Run, load_ids: list[str], *, source: str) -> None:
        """Write and commit one row for each load id, before anything of the load can land."""

    def unswept(self, state_key: str) -> list[Entry]:
        """Return the key's rows that are not marked swept, oldest load first."""


class SqlJournal:
    """The journal as a table `_airflow_loads` in the dataset of a SQL sink.

    Args:
        pipeline: an active dlt pipeline; its SQL client and dataset are used.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def enter(self, run: Run, load_ids: list[str], *, source: str) -> None:
        """Write and commit one row for each load id; makes the dataset and the table if they are missing."""
        with self._client() as client:
            if not client.has_dataset():
                client.create_dataset()
            columns = ", ".join(f"{client.escape_column_name(name)} {kind}" for name, kind in _COLUMNS.items())
            client.execute_sql(f"CREATE TABLE IF NOT EXISTS {self._table(client)} ({columns})")
            names = ", ".join(client.escape_column_name(name) for name in _COLUMNS)
            places = ", ".join(["%s"] * len(_COLUMNS))
            for load_id in load_ids:
                client.execute_sql(
                    f"INSERT INTO {self._table(client)} ({names}) VALUES ({places})",  # noqa: S608
                    *_values(run, load_id, source).values(),
                )

    def unswept(self, state_key: str) -> list[Entry]:
        """Return the key's rows that are not marked swept, oldest load first; nothing if there is no journal yet."""
        with self._client() as client:
            if not client.has_dataset() or not self._exists(client):
                return []
            loads = client.make_qualified_table_name(self._pipeline.default_schema.loads_table_name)
            rows = client.execute_sql(
                f"SELECT j.load_id, j.state_key, j.dag_id, j.task_id, j.map_index, j.run_id, j.try_number,"  # noqa: S608
                f" j.started_at, EXISTS (SELECT 1 FROM {loads} l WHERE l.load_id = j.load_id AND l.status = 0)"
                f" FROM {self._table(client)} j WHERE j.state_key = %s AND j.swept_at IS NULL",
                state_key,
            )
        return sorted((Entry(*row) for row in rows or []), key=lambda entry: float(entry.load_id))

    @contextmanager
    def _client(self) -> Iterator[SqlClientBase[Any]]:
        with self._pipeline.sql_client() as client:
            yield client

    @staticmethod
    def _table(client: SqlClientBase[Any]) -> str:
        return client.make_qualified_table_name(TABLE)

    @staticmethod
    def _exists(client: SqlClientBase[Any]) -> bool:
        rows = client.execute_sql(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            client.fully_qualified_dataset_name(quote=False).rpartition(".")[2],
            TABLE,
        )
        return bool(rows)


def _values(run: Run, load_id: str, source: str) -> dict[str, Any]:
    known = {
        "load_id": load_id,
        "state_key": run.state_key,
        "dag_id": run.dag_id,
        "task_id": run.task_id,
        "map_index": run.map_index,
        "run_id": run.run_id,
        "try_number": run.try_number,
        "logical_date": _date(run.logical_date),
        "interval_start": _date(run.interval_start),
        "interval_end": _date(run.interval_end),
        "repository": run.repository,
        "commit": run.commit,
        "source": source,
        "started_at": datetime.now(UTC),
        "swept_at": None,
    }
    return {name: known[name] for name in _COLUMNS}


def _date(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
