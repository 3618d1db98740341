"""The journal of a lakehouse: an Iceberg table `_airflow_loads` beside the tables it tells of.

A catalog compares and sets: of two runs that enter at once, one commits on top of the other, so that the later one to
look sees both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dlt.common.schema import Schema
from dlt.common.schema.utils import get_root_table

from nilus.runtime.recovery.journal import COLUMNS, TABLE, Row
from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.commit import LOAD_ID, SWEPT_LOAD_ID, Change, Rewrite, commit, rewrite_without
from nilus.runtime.sinks.lakehouse.filter import equal
from nilus.runtime.sinks.lakehouse.ledger import Ledger

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.table import Table

_ROW_LOAD_ID: Final = "_dlt_load_id"
_ROW_ID: Final = "_dlt_id"
_ROOT_ID: Final = "_dlt_root_id"
_LOADS: Final = "_dlt_loads"
_INTERNAL: Final = "_dlt_"
_OF_THE_RUN: Final = (
    "state_key",
    "dag_id",
    "task_id",
    "map_index",
    "run_id",
    "try_number",
    "logical_date",
    "repository",
    "commit",
    "source",
)


class LakehouseRows:
    """See `nilus.runtime.recovery.journal.Rows` for its methods.

    Args:
        lake: the warehouse.
        namespace: the dataset's.
        schema: of the source, as far as it is known; tells which tables are whose children.
    """

    def __init__(self, lake: Lake, namespace: str, schema: Schema | None = None) -> None:
        self._lake = lake
        self._namespace = namespace
        self._schema = schema
        columns = [{"name": name, "data_type": kind} for name, kind in COLUMNS.items()]
        self._ledger = Ledger(lake, namespace, TABLE, columns)

    def insert(self, rows: list[Row]) -> None:
        """See `Rows`. The snapshots of these loads will say the same of themselves."""
        self._ledger.make()
        self._ledger.add(rows)
        for row in rows:
            self._lake.trace[row["load_id"]] = _trace(row)

    def open_entries(self, state_key: str, newer_than: str | None) -> list[tuple[Row, bool]]:  # noqa: ARG002 - all are read
        """See `Rows`."""
        rows = [row for row in self._ledger.rows(state_key=state_key) if row["swept_at"] is None]
        landed = self._landed_ids() if rows else set()
        return [(row, row["load_id"] in landed) for row in rows]

    def newest(self, state_key: str) -> float | None:
        """See `Rows`."""
        return max((float(row["load_id"]) for row in self._ledger.rows(state_key=state_key)), default=None)

    @contextmanager
    def settling(self) -> Iterator[None]:
        """See `Rows`. Tables are swept one after the other, and the mark comes last: it may be done again."""
        self._ledger.make()
        yield

    def take(self, load_id: str, by: str | None) -> None:
        """See `Rows`. A row of `_dlt_loads` that is about to be committed comes too late after that."""
        self._edit(load_id, {"taken_by": by})
        if by is not None and self._lake.table(self._namespace, _LOADS) is not None:
            self._commit((self._namespace, _LOADS), load_id, Change(marks=True))

    def has_landed(self, load_id: str) -> bool:
        """See `Rows`."""
        return load_id in self._landed_ids()

    def delete(self, load_id: str, kept: Collection[str]) -> dict[str, int]:
        """See `Rows`. Every table of the source gets a snapshot, also where there was nothing to remove, see `fence`.

        Child tables of merged tables are not kept as they are: what the load put into them is removed where the row
        it belongs to is not there.
        """
        removed = {}
        for name, table in self._tables_with_load_id():
            is_kept = name in kept and _ROOT_ID not in table.schema().column_names
            if is_kept and self._is_of_source(name):
                self._commit(table.name(), load_id, Change(marks=True))
            if is_kept:
                continue
            count = self._remove(name, table, load_id, self._roots(name) if name in kept else None)
            if count:
                removed[name] = count
        return removed

    def mark(self, load_id: str, swept_at: datetime) -> None:
        """See `Rows`."""
        self._edit(load_id, {"swept_at": swept_at})

    def remove(self, load_id: str) -> None:
        """See `Rows`."""
        if self._ledger.exists:
            self._ledger.update(lambda rows: [row for row in rows if row["load_id"] != load_id])

    def count(self, load_id: str) -> dict[str, int]:
        """See `Rows`."""
        counts = {name: _count(table, load_id) for name, table in self._tables_with_load_id()}
        return {name: count for name, count in counts.items() if count and not name.startswith(_INTERNAL)}

    def state(self, load_id: str) -> str | None:
        """See `Rows`."""
        rows = Ledger(self._lake, self._namespace, "_dlt_pipeline_state", ()).rows(**{_ROW_LOAD_ID: load_id})
        return str(rows[0]["state"]) if rows else None

    def sweep_again(self, state_key: str, kept: Collection[str]) -> None:
        """See `Rows`. Nothing: the catalog refuses it."""

    def _edit(self, load_id: str, change: Row) -> None:
        self._ledger.update(lambda rows: [{**row, **change} if row["load_id"] == load_id else row for row in rows])

    def _landed_ids(self) -> set[str]:
        rows = Ledger(self._lake, self._namespace, _LOADS, ()).rows()
        return {row["load_id"] for row in rows if row["status"] == 0}

    def _tables_with_load_id(self) -> list[tuple[str, Table]]:
        named = [(name, self._lake.table(self._namespace, name)) for name in self._lake.tables(self._namespace)]
        return [(name, table) for name, table in named if table and _ROW_LOAD_ID in table.schema().column_names]

    def _roots(self, name: str) -> set[str]:
        """Return the ids of the rows of the table that a child table belongs to."""
        if self._schema is None or name not in self._schema.tables:
            return set()
        root = self._lake.table(self._namespace, str(get_root_table(self._schema.tables, name)["name"]))
        if root is None:
            return set()
        return set(root.scan(selected_fields=(_ROW_ID,)).to_arrow().column(_ROW_ID).to_pylist())

    def _remove(self, name: str, table: Table, load_id: str, roots: set[str] | None) -> int:
        marks = self._is_of_source(name)
        before = _count(table, load_id)
        if before or marks:
            change = Change(
                rewrite=_removal(load_id, roots), where=lambda _: equal(**{_ROW_LOAD_ID: load_id}), marks=marks
            )
            self._commit(table.name(), load_id, change)
        # Whatever was committed until then is removed as well, and was not counted before.
        return before - _count(self._lake.catalog.load_table(table.name()), load_id)

    def _is_of_source(self, name: str) -> bool:
        is_ours = self._schema is None or name in self._schema.tables
        return is_ours and not name.startswith(_INTERNAL)

    def _commit(self, identifier: tuple[str, ...], load_id: str, change: Change) -> None:
        commit(lambda: self._lake.catalog.load_table(identifier), lambda _: change, {SWEPT_LOAD_ID: load_id})


def _removal(load_id: str, roots: set[str] | None) -> Rewrite:
    def condition(rows: pa.Table) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        of_load = pc.equal(rows.column(_ROW_LOAD_ID), load_id)
        if roots is None:
            return of_load
        known = pc.is_in(rows.column(_ROOT_ID), value_set=pa.array(sorted(roots), pa.string()))
        return pc.and_(of_load, pc.invert(known))

    return rewrite_without(condition, [_ROW_LOAD_ID] if roots is None else [_ROW_LOAD_ID, _ROOT_ID])


def _count(table: Table, load_id: str) -> int:
    scan = table.scan(row_filter=equal(**{_ROW_LOAD_ID: load_id}), selected_fields=(_ROW_LOAD_ID,))
    return sum(batch.num_rows for batch in scan.to_arrow_batch_reader())


def _trace(row: Row) -> dict[str, str]:
    facts = {f"nilus.{name.replace('_', '-')}": row[name] for name in _OF_THE_RUN}
    texts = {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in facts.items()
        if value is not None
    }
    return {LOAD_ID: row["load_id"], **texts}
