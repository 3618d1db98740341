"""The rows of one load into a table and its child tables: appended, put in the place of others, or merged.

Iceberg commits a table at a time. So child tables come first and the table they belong to last: what an interrupted
load left can then be told by rows whose parent is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema import Schema
from dlt.common.schema.utils import (
    get_columns_names_with_prop,
    get_dedup_sort_tuple,
    get_first_column_name_with_prop,
    get_nested_tables,
)
from dlt.common.storages.load_package import ParsedLoadJobFileName

from nilus.runtime.destinations.lakehouse_catalog import Lake
from nilus.runtime.destinations.lakehouse_commit import (
    LOAD_ID,
    Change,
    chunked,
    commit,
    drop_all,
    has_landed,
    rows_of,
    without,
    write,
)
from nilus.runtime.destinations.lakehouse_keys import Incoming, MergeRule
from nilus.runtime.destinations.lakehouse_types import arrow_schema, conform

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask, Table

_ROW_ID: Final = "_dlt_id"


def load_chain(
    lake: Lake,
    namespace: str,
    schema: Schema,
    root: Mapping[str, Any],
    files: Sequence[Path],
    load_id: str,
    capabilities: DestinationCapabilitiesContext,
) -> None:
    """Load the files of a table and its child tables, one snapshot each.

    Args:
        lake: the warehouse.
        namespace: the dataset's.
        schema: of the source.
        root: the table, prepared to be loaded.
        files: of all tables of the chain.
        load_id: of the load.
        capabilities: of the destination.
    """
    by_table: dict[str, list[Path]] = {}
    for file in sorted(files):
        by_table.setdefault(ParsedLoadJobFileName.parse(file.name).table_name, []).append(file)
    names = [str(table["name"]) for table in get_nested_tables(schema.tables, root["name"])]
    loads = {name: _TableLoad(lake, namespace, name, by_table.get(name, []), load_id) for name in names}
    disposition, own = root["write_disposition"], loads[root["name"]]
    children = [load for name, load in loads.items() if name != root["name"] and load.exists]
    rule = _rule(schema, root, capabilities) if disposition == "merge" else None
    if rule is not None and rule.keys:
        _merge(own, children, rule, _root_ids(schema, names))
        return
    for load in [*reversed(children), own]:
        if disposition == "replace":
            load.replace()
        elif load.files:
            load.append()


def empty(lake: Lake, namespace: str, name: str) -> None:
    """Remove all rows of a table, if it is there, as one snapshot."""
    if lake.table(namespace, name) is not None:
        commit(lambda: lake.catalog.load_table((namespace, name)), lambda _: Change(rewrite=drop_all), {})


@dataclass
class _TableLoad:
    """The rows of one load for one table.

    `files` are in the order they were written.
    """

    lake: Lake
    namespace: str
    name: str
    files: list[Path]
    load_id: str

    @property
    def exists(self) -> bool:
        return self.lake.table(self.namespace, self.name) is not None

    def table(self) -> Table:
        return self.lake.catalog.load_table((self.namespace, self.name))

    def append(self) -> None:
        table = self.table()
        if not has_landed(table, self.load_id):
            self.commit(Change(added=self.write(table)))

    def replace(self) -> None:
        table = self.table()
        if not has_landed(table, self.load_id):
            self.commit(Change(added=self.write(table), rewrite=drop_all))

    def commit(self, change: Change) -> None:
        commit(self.table, lambda _: change, {LOAD_ID: self.load_id, **self.lake.trace.get(self.load_id, {})})

    def write(self, table: Table, keep: pa.Array | None = None) -> list[DataFile]:
        return write(table, chunked(self._rows(arrow_schema(table.schema()), keep)))

    def _rows(self, wanted: pa.Schema, keep: pa.Array | None) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        start = 0
        for file in self.files:
            with pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches():
                    rows = pa.Table.from_batches([batch])
                    if keep is not None:
                        rows = rows.filter(keep.slice(start, rows.num_rows))
                    start += batch.num_rows
                    yield conform(rows, wanted, where=self.name)

    def ids(self, column: str, keep: pa.Array) -> set[str]:
        """Return the values of a text column of the rows that are kept."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = [pq.read_table(file, columns=[column]).column(column).cast(pa.string()) for file in self.files]
        return set(
            pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.string()).filter(keep).to_pylist()
        )


def _merge(own: _TableLoad, children: Sequence[_TableLoad], rule: MergeRule, root_ids: Mapping[str, str]) -> None:
    table = own.table()
    if has_landed(table, own.load_id):
        return
    incoming = Incoming(rule, own.files, arrow_schema(table.schema()), own.name)
    if rule.insert_only:
        for task in _tasks(table, incoming):
            for rows in rows_of(table, task, rule.primary):
                incoming.drop_present(rows)
        gone: set[str] = set()
    else:
        gone = _ids_of_matches(table, incoming) if children else set()
    if children:
        kept = own.ids(_ROW_ID, incoming.keep) if own.files else set()
        for child in reversed(children):
            _merge_child(child, root_ids[child.name], gone, kept)
    rewrite = None if rule.insert_only else without(incoming.matches, [name for key in rule.keys for name in key])
    own.commit(Change(added=own.write(table, incoming.keep), rewrite=rewrite, where=incoming.may_match))


def _merge_child(child: _TableLoad, root_id: str, gone: set[str], kept: set[str]) -> None:
    """Put the child rows of the rows that are put in, in the place of those of the rows that go."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]
    import pyarrow.parquet as pq

    table = child.table()
    if has_landed(table, child.load_id):
        return
    of_gone, of_kept = pa.array(sorted(gone), pa.string()), pa.array(sorted(kept), pa.string())
    masks: list[pa.Array] = []
    for file in child.files:
        column = pq.read_table(file, columns=[root_id]).column(root_id).cast(pa.string())
        masks += pc.is_in(column, value_set=of_kept).chunks
    keep = pa.chunked_array(masks, pa.bool_()).combine_chunks()
    rewrite = without(lambda rows: pc.is_in(rows.column(root_id), value_set=of_gone), [root_id]) if gone else None
    child.commit(Change(added=child.write(table, keep), rewrite=rewrite))


def _ids_of_matches(table: Table, incoming: Incoming) -> set[str]:
    columns = [*dict.fromkeys(name for key in incoming.rule.keys for name in key), _ROW_ID]
    found: set[str] = set()
    for task in _tasks(table, incoming):
        for rows in rows_of(table, task, columns):
            found |= set(rows.filter(incoming.matches(rows)).column(_ROW_ID).to_pylist())
    return found


def _tasks(table: Table, incoming: Incoming) -> Iterable[FileScanTask]:
    if table.current_snapshot() is None:
        return []
    return table.scan(row_filter=incoming.may_match(table)).plan_files()


def _rule(schema: Schema, root: Mapping[str, Any], capabilities: DestinationCapabilitiesContext) -> MergeRule:
    """Return what dlt's hints say of merging; without a key, dlt's own meaning: rows are appended."""
    table: Any = root
    strategy = resolve_merge_strategy(schema.tables, table, capabilities)
    merge = () if strategy in ("upsert", "insert-only") else get_columns_names_with_prop(table, "merge_key")
    dedup = get_dedup_sort_tuple(table)
    return MergeRule(
        primary=tuple(get_columns_names_with_prop(table, "primary_key")),
        merge=tuple(merge),
        dedup=(dedup[0], dedup[1]) if dedup else None,
        hard_delete=get_first_column_name_with_prop(table, "hard_delete"),
        insert_only=strategy == "insert-only",
    )


def _root_ids(schema: Schema, names: Iterable[str]) -> dict[str, str]:
    """Return by child table the column that holds the id of the row at the root."""
    return {
        name: column
        for name in names
        if (column := get_first_column_name_with_prop(schema.tables[name], "root_key")) is not None
    }
