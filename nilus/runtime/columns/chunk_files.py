"""The files rows go through: dlt's writers, which here take columns as well as rows."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from dlt.common.schema.typing import TColumnSchema

from nilus.runtime.columns.column_chunk import ColumnChunk
from nilus.runtime.columns.pandas_import import without_pandas
from nilus.runtime.columns.raw_column import NotRows
from nilus.runtime.columns.typed_json import typed_json
from nilus.runtime.engine.internals.stand_ins import ExtractorItemStorage
from nilus.runtime.engine.internals.writers import (
    DataWriter,
    FileWriterSpec,
    ParquetDataWriter,
    TypedJsonlListWriter,
    holds_items,
    write_held_items,
)

BUFFER_BYTES = 12_000_000
"""Rows are written when they take about as much memory, even if they are fewer than page-size."""

GROUP_ROWS = 122_880
GROUP_BYTES = 24_000_000
"""Rows of a parquet file are in groups of so many rows, as in a DuckDB file, or of about so much memory."""

_SAMPLED = 16
_NESTED_LIMIT = 100
_NESTING = frozenset({dict, list, tuple})


class RowWriter(TypedJsonlListWriter):
    """Writes extracted rows as dlt does, with texts that begin with one of its marks escaped.

    A subclass: `_f`, the open file, is dlt's.
    """

    def write_data(self, items: Sequence[Any]) -> None:
        """Write rows as a line of JSON; called by dlt."""
        DataWriter.write_data(self, items)
        self._write_line(items)

    def _write_line(self, items: Sequence[Any]) -> None:
        try:
            self._f.write(typed_json(items))
        except (TypeError, ValueError) as error:
            raise _with_column(error, items) from None
        self._f.write(b"\n")

    @classmethod
    def writer_spec(cls) -> FileWriterSpec:
        """Return the format it stands in for; asked by dlt."""
        return TypedJsonlListWriter.writer_spec()


class ColumnWriter(RowWriter):
    """Writes extracted rows by column, and those that do not fit as dlt does: a line of JSON.

    A subclass: `_f`, the open file, is dlt's.
    """

    def write_data(self, items: Sequence[Any]) -> None:
        """Write rows as one chunk; called by dlt."""
        DataWriter.write_data(self, items)
        try:
            with without_pandas():
                ColumnChunk.of(items).write(self._f)
        except NotRows:
            self._write_line(items)


class TableWriter(ParquetDataWriter):
    """Writes rows and Arrow tables, in the order in which they come, into one parquet file.

    Where the file is kept, each table is a row group. Where it is only loaded from, and so is not compressed,
    tables are collected to larger ones: each group costs its reader as much as many rows do.

    A subclass: `_f`, the open file, `_caps` and `_create_writer` are dlt's.

    Attributes:
        group_rows, group_bytes: of such a group, at most.
    """

    group_rows: ClassVar[int] = GROUP_ROWS
    group_bytes: ClassVar[int] = GROUP_BYTES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: list[Any] = []
        self._held_rows = 0
        self._held_bytes = 0

    @classmethod
    def check_table(cls, name: str, table: Any, nested: Collection[str]) -> None:
        """Refuse what the sink cannot hold.

        Args:
            name: of the sink's table, for messages.
            table: Arrow's.
            nested: its columns whose texts are JSON.
        """

    @classmethod
    def arrow_schema(cls, columns: Mapping[str, TColumnSchema], capabilities: Any, timezone: str) -> Any:
        """Return the Arrow schema of the files of a table.

        Args:
            columns: of the table; those without a type are left out.
            capabilities: the destination's.
            timezone: of timestamps that have one.
        """
        from dlt.common.libs.pyarrow import columns_to_arrow

        return columns_to_arrow(dict(columns), capabilities, timezone)

    def write_header(self, columns_schema: Any) -> None:
        """Begin a file; called by dlt."""
        self.schema = self.arrow_schema(columns_schema, self._caps, self.timestamp_timezone)
        self.nested_indices = [name for name, column in columns_schema.items() if column["data_type"] == "json"]
        self.writer = self._create_writer(self.schema)

    @property
    def table_name(self) -> str:
        """The sink's table that the file is for."""
        return Path(self._f.name).name.partition(".")[0]

    @property
    def _is_kept(self) -> bool:
        return self.parquet_format.compression != "none"

    def write_data(self, items: Sequence[Any]) -> None:
        """Write rows and tables; called by dlt. A table has the columns of the file or the first of them."""
        rows: list[Any] = []
        for item in items:
            if isinstance(item, dict):
                rows.append(item)
                continue
            self._write_rows(rows)
            rows = []
            self._keep_rows(self._complete(item))
        self._write_rows(rows)

    def write_footer(self) -> None:
        """Write what is still held; called by dlt before the file is closed."""
        self._write_held()
        super().write_footer()

    def _create_writer(self, schema: Any) -> Any:
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        if self._is_kept:
            return super()._create_writer(schema)
        # The file is read once and deleted: what makes files small and searchable takes longer than all else here.
        return pq.ParquetWriter(
            self._f,
            schema,
            version=self.parquet_format.version,
            flavor=self.parquet_format.flavor,
            coerce_timestamps=self.parquet_format.coerce_timestamps,
            allow_truncated_timestamps=self.parquet_format.allow_truncated_timestamps,
            use_compliant_nested_type=self.parquet_format.use_compliant_nested_type,
            compression="none",
            use_dictionary=[name for name in schema.names if name == "_dlt_load_id"],
            write_statistics=False,
        )

    def _write_rows(self, rows: list[Any]) -> None:
        if rows:
            self._write_held()
            super().write_data(rows)

    def _complete(self, table: Any) -> Any:
        """Return a table with all columns of the file, in its order."""
        import pyarrow as pa

        arrays = []
        for field in self.schema or ():
            index = table.schema.get_field_index(field.name)
            if index < 0:
                arrays.append(pa.nulls(table.num_rows, field.type))
            else:
                arrays.append(table.column(index))
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _keep_rows(self, table: Any) -> None:
        self.items_count += table.num_rows
        room = table.num_rows if self._is_kept else self.group_rows - self._held_rows
        for part in (table.slice(0, room), table.slice(room)):
            if not part.num_rows:
                continue
            self._held.append(part)
            self._held_rows += part.num_rows
            self._held_bytes += part.nbytes
            if self._is_kept or self._held_rows >= self.group_rows or self._held_bytes > self.group_bytes:
                self._write_held()

    def _write_held(self) -> None:
        import pyarrow as pa

        if self._held:
            group = pa.concat_tables(self._held)
            self._held, self._held_rows, self._held_bytes = [], 0, 0
            self.writer.write_table(group, row_group_size=self.parquet_format.row_group_size)  # type: ignore[union-attr]

    @classmethod
    def writer_spec(cls) -> FileWriterSpec:
        """Return the format it stands in for; asked by dlt."""
        return ParquetDataWriter.writer_spec()


class BoundedStorage(ExtractorItemStorage):
    """dlt's storage of extracted rows, which writes them out before they take too much memory."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bytes: dict[str, float] = {}
        self._items: dict[str, int] = {}

    def write_data_item(self, load_id: str, schema_name: str, table_name: str, item: Any, columns: Any) -> int:
        """Take rows; called by dlt."""
        count = super().write_data_item(load_id, schema_name, table_name, item, columns)
        if self.writer_spec.data_item_format != "object" or not item:
            return count
        name, writer = self.get_active_writer(load_id, schema_name, table_name)
        if isinstance(item, list):
            size = estimated_bytes(item) * len(item)
        else:
            self._items[name] = self._items.get(name, -1) + 1
            size = 0 if self._items[name] % _SAMPLED else estimated_bytes([item]) * _SAMPLED
        if not holds_items(writer):
            self._bytes[name] = 0
            return count
        self._bytes[name] = self._bytes.get(name, 0) + size
        if self._bytes[name] > BUFFER_BYTES:
            write_held_items(writer)
            self._bytes[name] = 0
        return count


def _with_column(error: Exception, rows: Sequence[Any]) -> Exception:
    """Return an error with the column whose value cannot be written."""
    for row in rows:
        for key, value in row.items() if isinstance(row, dict) else ():
            try:
                typed_json({key: value})
            except (TypeError, ValueError):
                return type(error)(f"column {key!r}: {error}")
    return error


def estimated_bytes(rows: Sequence[Any]) -> float:
    """Return the memory that a row takes, on average over some of them.

    Args:
        rows: at least one.
    """
    sample = rows[:: max(1, len(rows) // _SAMPLED)]
    return sum(map(_size, sample)) / len(sample)


def _size(value: Any) -> float:
    size = float(sys.getsizeof(value))
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    if parts:
        sized = sys.getsizeof if _NESTING.isdisjoint(map(type, parts)) else _size
        size += sum(map(sized, islice(parts, _NESTED_LIMIT))) * max(1.0, len(parts) / _NESTED_LIMIT)
    return size
