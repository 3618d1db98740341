"""A parquet file as the CSV that PostgreSQL copies: made a part at a time, while it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_PART_ROWS: Final = 16_384
_PART_BYTES: Final = 1_000_000
"""A part of a file has at most so many rows, and takes about so much memory."""

_READ_BYTES: Final = 65_536
"""What is read of a column at a time, instead of all that a group of rows has of it."""


class CopyStream:
    """What psycopg2 reads from: texts are quoted, nulls are not, so that an empty text stays one.

    Args:
        path: of the parquet file.
    """

    def __init__(self, path: str) -> None:
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        self._file = pq.ParquetFile(path, buffer_size=_READ_BYTES)
        self._parts = self._write()
        self._part = memoryview(b"")

    def __enter__(self) -> CopyStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return int(self._file.metadata.num_rows)

    @property
    def columns(self) -> list[str]:
        """The names of the file's columns, in order."""
        return list(self._file.schema_arrow.names)

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end; called by psycopg2."""
        if not self._part:
            self._part = memoryview(next(self._parts, b""))
        found, self._part = bytes(self._part[:size]), self._part[size:]
        return found

    def _write(self) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import csv

        options = csv.WriteOptions(include_header=False)
        metadata = self._file.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if not group.num_rows:
                continue
            rows = int(_PART_BYTES / max(1.0, group.total_byte_size / group.num_rows))
            batches = self._file.iter_batches(max(1, min(_PART_ROWS, rows)), row_groups=[number], use_threads=False)
            for batch in batches:
                part = pa.BufferOutputStream()
                csv.write_csv(_readable(batch), part, options)
                yield part.getvalue()


def _readable(batch: Any) -> Any:
    """Return a batch whose columns Arrow writes as PostgreSQL reads them."""
    import pyarrow as pa

    arrays = [_readable_column(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=[str(index) for index in range(len(arrays))])


def _readable_column(array: Any) -> Any:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return _hexadecimal(array)
    if types.is_timestamp(kind) and kind.tz is not None:
        return array.cast(pa.timestamp(kind.unit, "UTC"))
    if types.is_float16(kind):
        return array.cast(pa.float32())
    return array


def _hexadecimal(array: Any) -> Any:
    r"""Return bytes as texts of hexadecimal digits behind `\x`."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    array = array.cast(pa.large_binary())
    _, offsets, data = array.buffers()
    starts = pa.Array.from_buffers(pa.int64(), len(array) + 1, [None, offsets], offset=array.offset)
    doubled = pc.multiply(starts, 2)
    digits = pa.py_buffer(b"" if data is None else memoryview(data).hex().encode("ascii"))
    valid = pc.is_valid(array)
    texts = pa.LargeStringArray.from_buffers(len(array), doubled.buffers()[1], digits)
    written = pc.binary_join_element_wise(pa.scalar("\\x", pa.large_string()), texts, pa.scalar("", pa.large_string()))
    return pc.if_else(valid, written, pa.scalar(None, pa.large_string()))
