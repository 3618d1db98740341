"""The files rows go through: dlt's writers, which here take columns as well as rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from typing import Any

from dlt.common.data_writers.writers import (
    DataWriter,
    FileWriterSpec,
    ParquetDataWriter,
    TypedJsonlListWriter,
)
from dlt.extract.storage import ExtractorItemStorage

from nilus.runtime.column_chunk import ColumnChunk
from nilus.runtime.pandas_import import without_pandas
from nilus.runtime.raw_column import NotRows, typed_json

BUFFER_BYTES = 12_000_000
"""Rows are written when they take about as much memory, even if they are fewer than page-size."""

_SAMPLED = 16
_NESTED_LIMIT = 100


class ColumnWriter(TypedJsonlListWriter):
    """Writes extracted rows by column, and those that do not fit as dlt does: a line of JSON."""

    def write_data(self, items: Sequence[Any]) -> None:
        """Write rows as one chunk; called by dlt."""
        DataWriter.write_data(self, items)
        try:
            with without_pandas():
                ColumnChunk.of(items).write(self._f)
        except NotRows:
            self._f.write(typed_json(items))
            self._f.write(b"\n")

    @classmethod
    def writer_spec(cls) -> FileWriterSpec:
        """Return the format it stands in for; asked by dlt."""
        return TypedJsonlListWriter.writer_spec()


class TableWriter(ParquetDataWriter):
    """Writes rows and Arrow tables, in the order in which they come, into one parquet file."""

    def write_data(self, items: Sequence[Any]) -> None:
        """Write rows and tables; called by dlt. A table has the columns of the file or the first of them."""
        rows: list[Any] = []
        for item in items:
            if isinstance(item, dict):
                rows.append(item)
                continue
            if rows:
                super().write_data(rows)
                rows = []
            self._write_table(item)
        if rows:
            super().write_data(rows)

    def _write_table(self, table: Any) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]

        arrays = []
        for field in self.schema or ():
            index = table.schema.get_field_index(field.name)
            if index < 0:
                arrays.append(pa.nulls(table.num_rows, field.type))
            else:
                arrays.append(table.column(index))
        complete = pa.Table.from_arrays(arrays, schema=self.schema)
        self.items_count += complete.num_rows
        self.writer.write_table(  # type: ignore[union-attr]
            complete, row_group_size=self.parquet_format.row_group_size
        )

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
        if not writer._buffered_items_count:
            self._bytes[name] = 0
            return count
        self._bytes[name] = self._bytes.get(name, 0) + size
        if self._bytes[name] > BUFFER_BYTES:
            writer._flush_items()
            self._bytes[name] = 0
        return count


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
        size += sum(map(_size, islice(parts, _NESTED_LIMIT))) * max(1.0, len(parts) / _NESTED_LIMIT)
    return size
