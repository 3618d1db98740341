"""The rows of one load for one Iceberg table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nilus.runtime.sinks.lakehouse import fence
from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.commit import (
    LOAD_ID,
    Change,
    commit,
    drop_all,
    has_landed,
    rechunk,
    rewrite_without,
    write,
)
from nilus.runtime.sinks.lakehouse.types import arrow_schema, conform

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table


@dataclass
class TableLoad:
    """The rows of one load for one table.

    Args:
        lake: the warehouse.
        namespace: the dataset's.
        name: the table's.
        files: load files; dlt does not tell in which order they were written.
        load_id: of the load.
    """

    lake: Lake
    namespace: str
    name: str
    files: list[Path]
    load_id: str

    @property
    def exists(self) -> bool:
        """Whether the table is there."""
        return self.lake.table(self.namespace, self.name) is not None

    def table(self) -> Table:
        """Return the table as it is now."""
        return self.lake.catalog.load_table((self.namespace, self.name))

    @property
    def summary(self) -> dict[str, str]:
        """What this load's snapshots say of themselves."""
        return {LOAD_ID: self.load_id, **self.lake.trace.get(self.load_id, {})}

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows; only for few."""
        wanted = arrow_schema(self.table().schema())
        return [row for part in self._rows(wanted, None) for row in part.to_pylist()]

    def append(self) -> None:
        """Add the rows, unless this load has already."""
        table = self.table()
        if not has_landed(table, self.load_id):
            self.commit(Change(added=self.write(table)))

    def replace(self) -> None:
        """Put the rows in the place of all others, unless this load has already."""
        table = self.table()
        if not has_landed(table, self.load_id):
            self.commit(Change(added=self.write(table), rewrite=drop_all))

    def commit(self, change: Change) -> None:
        """Commit a change of the table as this load's snapshot."""

        def to_change(_: Table) -> Change:
            fence.check(self.lake, self.namespace)
            return change

        commit(self.table, to_change, self.summary)

    def remove(self, column: str, ids: set[str]) -> None:
        """Remove the rows that have one of these ids in a column."""
        import pyarrow as pa
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        values = pa.array(sorted(ids), pa.string())
        self.commit(
            Change(rewrite=rewrite_without(lambda rows: pc.is_in(rows.column(column), value_set=values), [column]))
        )

    def write(self, table: Table, keep: pa.Array | None = None) -> list[DataFile]:
        """Write the rows into data files; nothing is committed.

        Args:
            table: as it is now.
            keep: tells of each row whether it is written; None for all.
        """
        return write(table, rechunk(self._rows(arrow_schema(table.schema()), keep)))

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
        return set(self.column(column).filter(keep).to_pylist())

    def column(self, name: str) -> pa.Array:
        """Return the values of a text column of all rows, in their order."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = [pq.read_table(file, columns=[name]).column(name).cast(pa.string()) for file in self.files]
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.string()).combine_chunks()
