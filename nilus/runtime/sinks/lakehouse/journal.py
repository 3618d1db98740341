"""The journal of a lakehouse: an Iceberg table `_airflow_loads` beside the tables it tells of.

A catalog compares and sets: of two runs that enter at once, one commits on top of the other, so that the later one to
look sees both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from dlt.common.schema import Schema
from dlt.common.schema.utils import get_root_table

from nilus.protocol.job import Run
from nilus.runtime.engine import pipeline_state
from nilus.runtime.engine.internals.state import decompress_state
from nilus.runtime.recovery import journal
from nilus.runtime.recovery.journal import Entry
from nilus.runtime.rows.reading.decision import Reading
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
)


class LakehouseJournal:
    """See `Journal` for its methods.

    Args:
        lake: the warehouse.
        namespace: the dataset's.
        schema: of the source, as far as it is known; tells which tables are whose children.
    """

    def __init__(self, lake: Lake, namespace: str, schema: Schema | None = None) -> None:
        self._lake = lake
        self._namespace = namespace
        self._schema = schema
        columns = [{"name": name, "data_type": kind} for name, kind in journal._COLUMNS.items()]
        self._ledger = Ledger(lake, namespace, journal.TABLE, columns)

    def enter(self, run: Run, reading: Reading, load_ids: list[str], *, source: str) -> None:
        """See `Journal`. The snapshots of these loads will say the same of themselves."""
        self._ledger.make()
        self._ledger.add(journal.row(run, reading, load_id, source) for load_id in load_ids)
        for load_id in load_ids:
            self._lake.trace[load_id] = _trace(run, load_id, source)

    def open_entries(self, state_key: str, *, newer_than: str | None = None, run_id: str | None = None) -> list[Entry]:
        """See `Journal`."""
        rows = [row for row in self._ledger.rows(state_key=state_key) if row["swept_at"] is None]
        if not rows:
            return []
        landed = self._landed_ids()
        entries = [
            Entry(**{name: row[name] for name in journal.ENTRY}, landed=row["load_id"] in landed)
            for row in rows
            if run_id is None or row["run_id"] == run_id
        ]
        if newer_than is not None:
            newest = float(newer_than)
            entries = [entry for entry in entries if not entry.landed or float(entry.load_id) > newest]
        return sorted(entries, key=lambda entry: float(entry.load_id))

    def withdraw(self, load_id: str) -> None:
        """See `Journal`."""
        self._ledger.update(lambda rows: [row for row in rows if row["load_id"] != load_id])

    def sweep(self, load_id: str, *, kept: Collection[str] = ()) -> dict[str, int]:
        """See `Journal`. Tables are swept one after the other, and the entry is marked last: it may be done again.

        Child tables of merged tables are not kept as they are: what the load put into them is removed where the row
        it belongs to is not there.
        """
        removed = {}
        for name, table in self._tables_with_load_id():
            if name in kept and _ROOT_ID not in table.schema().column_names:
                continue
            count = self._remove(table, load_id, self._roots(name) if name in kept else None)
            if count:
                removed[name] = count
        now = datetime.now(UTC)

        def mark(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{**row, "swept_at": now} if row["load_id"] == load_id else row for row in rows]

        self._ledger.update(mark)
        return removed

    def rows(self, load_id: str) -> dict[str, int]:
        """See `Journal`."""
        counts = {name: _count(table, load_id) for name, table in self._tables_with_load_id()}
        return {name: count for name, count in counts.items() if count and not name.startswith(_INTERNAL)}

    def carried_state(self, load_id: str) -> dict[str, Any] | None:
        """See `Journal`."""
        rows = Ledger(self._lake, self._namespace, "_dlt_pipeline_state", ()).rows(**{_ROW_LOAD_ID: load_id})
        return pipeline_state.to_plain(decompress_state(rows[0]["state"]).get("sources", {})) if rows else None

    def _landed_ids(self) -> set[str]:
        rows = Ledger(self._lake, self._namespace, "_dlt_loads", ()).rows()
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

    def _remove(self, table: Table, load_id: str, roots: set[str] | None) -> int:
        rewrite = _removal(load_id, roots)
        change = Change(rewrite=rewrite, where=lambda _: equal(**{_ROW_LOAD_ID: load_id}))
        identifier = table.name()
        before = _count(table, load_id)
        if not before:
            return 0
        commit(lambda: self._lake.catalog.load_table(identifier), lambda _: change, {SWEPT_LOAD_ID: load_id})
        return before - _count(self._lake.catalog.load_table(identifier), load_id)


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


def _trace(run: Run, load_id: str, source: str) -> dict[str, str]:
    known: Mapping[str, Any] = vars(run)
    said = {f"nilus.{name.replace('_', '-')}": known[name] for name in _OF_THE_RUN}
    return {
        LOAD_ID: load_id,
        **{name: str(value) for name, value in said.items() if value is not None},
        "nilus.source": source,
    }
