"""Load files for PostgreSQL: columns as its own input functions are to read them.

What a value becomes is decided by the server, as it is where rows are sent in INSERT statements: it rounds Decimals and
timestamps to what a column holds. Types that round, cut off or refuse before that are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Final

from dlt.common.schema.typing import TColumnSchema

from nilus.errors import SourceError
from nilus.runtime.columns.chunk_files import TableWriter

_AS_TEXT: Final = frozenset({"decimal", "wei"})
_NUL_IN_JSON: Final = r"(?:^|[^\\])(?:\\\\)*\\u0000"
_WITHOUT_PRECISION: Final = frozenset({"bigint", "binary", "time", "timestamp"})


class CopyFileWriter(TableWriter):
    """Writes parquet files that are loaded with COPY: Decimals as texts, the rest in the widest type."""

    group_rows: ClassVar[int] = 16_384
    group_bytes: ClassVar[int] = 3_000_000
    """Several files are read at once, each a group at a time."""

    _decimals: tuple[str, ...] = ()
    _doubles: tuple[str, ...] = ()

    @classmethod
    def arrow_schema(cls, columns: Mapping[str, TColumnSchema], capabilities: Any, timezone: str) -> Any:
        """See `TableWriter`."""
        plain = {name: _plain_column(column) for name, column in columns.items()}
        return super().arrow_schema(plain, capabilities, timezone)

    @classmethod
    def check_table(cls, name: str, table: Any, nested: Collection[str]) -> None:
        """See `TableWriter`.

        Raises:
            SourceError: a text has the character U+0000. The value is not shown: it may be what a mask has made.
        """
        for field, column in zip(table.schema, table.columns, strict=True):
            chunks = getattr(column, "chunks", [column])
            if any(_has_nul(chunk, is_json=field.name in nested) for chunk in chunks):
                raise SourceError(
                    f"Table {name!r}: column {field.name!r} has a text with the character U+0000",
                    expected="text without U+0000 (NUL), which PostgreSQL cannot store",
                    found="U+0000 in a text, or in a text of a nested value",
                    remedy='remove it in the source, with value.replace("\\0", "") for instance',
                )

    def write_header(self, columns_schema: Any) -> None:
        """Begin a file; called by dlt."""
        super().write_header(columns_schema)
        kinds = {name: column.get("data_type") for name, column in columns_schema.items()}
        table = self.table_name
        nested = frozenset(name for name, column in columns_schema.items() if column.get("data_type") == "json")
        self.writer = _Checked(self.writer, lambda written: self.check_table(table, written, nested))
        self._decimals = tuple(name for name, kind in kinds.items() if kind in _AS_TEXT)
        self._doubles = tuple(name for name, kind in kinds.items() if kind == "double")

    def _write_rows(self, rows: list[Any]) -> None:
        for name in self._decimals:
            for row in rows:
                if row.get(name) is not None:
                    row[name] = str(row[name])
        for name in self._doubles:
            for row in rows:
                if row.get(name) is not None:
                    row[name] += 0.0
        super()._write_rows(rows)

    def _complete(self, table: Any) -> Any:
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        table = super()._complete(table)
        for name in self._doubles:
            index = table.schema.get_field_index(name)
            # An INSERT makes 0 of -0.0.
            table = table.set_column(index, table.schema.field(index), pc.add(table.column(index), 0.0))
        return table


class _Checked:
    """A writer of parquet files that refuses what PostgreSQL cannot hold.

    Args:
        writer: Arrow's.
        check: called with each table.
    """

    def __init__(self, writer: Any, check: Callable[[Any], None]) -> None:
        self._writer = writer
        self._check = check

    def write_table(self, table: Any, **options: Any) -> None:
        """Write a table; called by dlt."""
        self._check(table)
        self._writer.write_table(table, **options)

    def close(self) -> None:
        """Close the file; called by dlt."""
        self._writer.close()


def _has_nul(array: Any, *, is_json: bool) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        array = array.dictionary
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return False
    data = array.buffers()[2]
    sought = b"\\u0000" if is_json else b"\x00"
    # A slice shares its data with what it leaves out: what is found there is looked for once more.
    if data is None or sought not in memoryview(data).tobytes():
        return False
    found = pc.match_substring_regex(array, _NUL_IN_JSON) if is_json else pc.match_substring(array, "\x00")
    return bool(pc.any(found).as_py())


def _plain_column(column: TColumnSchema) -> TColumnSchema:
    kind = column.get("data_type")
    if kind in _AS_TEXT:
        return {**column, "data_type": "text"}
    if kind in _WITHOUT_PRECISION:
        return {name: value for name, value in column.items() if name != "precision"}  # type: ignore[return-value]
    return column
