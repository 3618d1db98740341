"""Rows that dlt writes together, held by column: how they are made of rows, kept in a file, and made rows again."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import IO, Any, Final

import orjson
from dlt.common.json import may_have_pua

from nilus.runtime.columns.raw_column import MIXED, NULL, NotRows, RawColumn, raw_column
from nilus.runtime.columns.typed_json import typed_json

MAGIC: Final = b"\x00nilus columns 1\n"
"""A chunk in a file begins with it; no line of JSON does. The last byte ends the line for whoever reads lines."""

_LENGTHS = struct.Struct(">QQ")
_SHAPE = "shape"


@dataclass(frozen=True)
class ColumnChunk:
    """Rows by column, in order.

    Args:
        rows: how many.
        columns: name, as the source wrote it, to values; in the order in which the names first appear.
        firsts: JSON of the rows in which a column has its first value, and of the first row, with dlt's marks, in
            order. Types are decided by these rows alone.
        shapes: the names that rows have, in their order, where not every row has the same; else None.
        shape_of: an Arrow array with each row's index into `shapes`.
    """

    rows: int
    columns: dict[str, RawColumn]
    firsts: list[bytes]
    shapes: list[tuple[str, ...]] | None = None
    shape_of: Any = None

    @classmethod
    def of(cls, rows: Sequence[Any]) -> ColumnChunk:
        """Hold `rows` by column.

        Args:
            rows: at least one.

        Raises:
            NotRows: they are not all dicts with texts as keys, or hold something that dlt cannot write.
        """
        if set(map(type, rows)) != {dict}:
            raise NotRows("rows that are not dicts")
        shapes = list(dict.fromkeys(map(tuple, rows)))
        names = shapes[0] if len(shapes) == 1 else tuple(dict.fromkeys(name for shape in shapes for name in shape))
        if not set(map(type, names)) <= {str}:
            raise NotRows("keys that are not texts")
        if len(shapes) == 1:
            columns = {name: raw_column(list(map(itemgetter(name), rows))) for name in names}
            shape_of = None
        else:
            columns = {name: raw_column([row.get(name) for row in rows]) for name in names}
            shape_of = _shape_of(rows, shapes)
        firsts = sorted({0} | {column.first() for column in columns.values() if not column.is_null})
        try:
            first_rows = [typed_json(rows[index]) for index in firsts]
        except TypeError as error:
            raise NotRows(str(error)) from error
        return cls(len(rows), columns, first_rows, None if shape_of is None else shapes, shape_of)

    def write(self, file: IO[bytes]) -> None:
        """Append the chunk to a file."""
        import pyarrow as pa  # type: ignore[import-untyped]

        arrays = {
            str(index): column.data
            for index, column in enumerate(self.columns.values())
            if column.kind not in (NULL, MIXED)
        }
        if self.shape_of is not None:
            arrays[_SHAPE] = self.shape_of
        mixed = [column.data for column in self.columns.values() if column.kind == MIXED]
        header = orjson.dumps(
            {
                "rows": self.rows,
                "columns": [[name, column.kind] for name, column in self.columns.items()],
                "firsts": [len(first) for first in self.firsts],
                "shapes": self.shapes,
                "mixed": [len(values) for values in mixed],
            }
        )
        body = pa.BufferOutputStream()
        if arrays:
            batch = pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
            with pa.ipc.new_stream(body, batch.schema) as stream:
                stream.write_batch(batch)
        file.write(MAGIC)
        file.write(_LENGTHS.pack(len(header), body.tell()))
        file.write(header)
        for part in (*self.firsts, *mixed):
            file.write(part)
        file.write(body.getvalue())

    @classmethod
    def read(cls, file: IO[bytes]) -> ColumnChunk:
        """Read the chunk whose `MAGIC` has been read."""
        import pyarrow as pa

        header_length, body_length = _LENGTHS.unpack(file.read(_LENGTHS.size))
        header = orjson.loads(file.read(header_length))
        firsts = [file.read(length) for length in header["firsts"]]
        mixed = iter([file.read(length) for length in header["mixed"]])
        arrays: dict[str, Any] = {}
        if body_length:
            with pa.ipc.open_stream(pa.py_buffer(file.read(body_length))) as stream:
                batch = stream.read_next_batch()
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns = {}
        for index, (name, kind) in enumerate(header["columns"]):
            columns[name] = RawColumn(kind, next(mixed) if kind == MIXED else arrays.get(str(index)))
        shapes = header["shapes"]
        return cls(
            header["rows"],
            columns,
            firsts,
            None if shapes is None else [tuple(shape) for shape in shapes],
            arrays.get(_SHAPE),
        )

    def typed_rows(self) -> tuple[list[Any], bool]:
        """Return the rows as dlt reads them out of its JSON, and whether one of dlt's marks may be in them."""
        columns = {name: column.to_encoder(self.rows) for name, column in self.columns.items()}
        rows: list[Any]
        if self.shapes is None:
            names = tuple(columns)
            rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            rows = rows or [{} for _ in range(self.rows)]
        else:
            rows = [
                {name: columns[name][index] for name in self.shapes[shape]}
                for index, shape in enumerate(self.shape_of.to_pylist())
            ]
        written = typed_json(rows, escapes=False)
        return orjson.loads(written), may_have_pua(written)


def _shape_of(rows: Sequence[dict[str, Any]], shapes: list[tuple[str, ...]]) -> Any:
    import pyarrow as pa

    index = {shape: number for number, shape in enumerate(shapes)}
    return pa.array([index[tuple(row)] for row in rows], pa.int32())
