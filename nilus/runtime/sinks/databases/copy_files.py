"""Load files for PostgreSQL: columns as its own input functions are to read them.

What a value becomes is decided by the server, as it is where rows are sent in INSERT statements: it rounds Decimals and
timestamps to what a column holds. Types that round, cut off or refuse before that are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from dlt.common.schema.typing import TColumnSchema

from nilus.runtime.columns.chunk_files import TableWriter

_AS_TEXT: Final = frozenset({"decimal", "wei"})
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

    def write_header(self, columns_schema: Any) -> None:
        """Begin a file; called by dlt."""
        super().write_header(columns_schema)
        kinds = {name: column.get("data_type") for name, column in columns_schema.items()}
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


def _plain_column(column: TColumnSchema) -> TColumnSchema:
    kind = column.get("data_type")
    if kind in _AS_TEXT:
        return {**column, "data_type": "text"}
    if kind in _WITHOUT_PRECISION:
        return {name: value for name, value in column.items() if name != "precision"}  # type: ignore[return-value]
    return column
