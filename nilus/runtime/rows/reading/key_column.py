"""The column that incremental-key names, in the rows of one resource: how it is read, and that it must have values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dlt.common.jsonpath import compile_path, extract_simple_field_name, find_values

from nilus.errors import SourceError
from nilus.runtime.rows.steps.frames import as_arrow

_MISSING = object()
_SHOWN_COLUMNS = 20


class KeyColumn:
    """The column of the incremental-key.

    Args:
        resource: the resource's name, for messages.
        key: name or JSON path of the column.
    """

    def __init__(self, resource: str, key: str) -> None:
        self.resource = resource
        self.key = key
        path = compile_path(key)
        simple = extract_simple_field_name(path)
        self._name = simple or key
        self._path = None if simple else path

    def value(self, row: Any) -> Any:
        """Return the value in a row, a mapping or an object.

        Raises:
            SourceError: the row has no such column.
        """
        if self._path is not None:
            found = find_values(self._path, row)
            value = found[0] if found else _MISSING
        elif isinstance(row, Mapping):
            value = row.get(self._name, _MISSING)
            if value is _MISSING:
                self._name = spelling_in(row, self._name)
                value = row.get(self._name, _MISSING)
        else:
            value = getattr(row, self._name, _MISSING)
        if value is _MISSING:
            raise self._absent(list(row) if isinstance(row, Mapping) else [])
        return value

    def of(self, frame: Any) -> tuple[Any, Any]:
        """Return a table or DataFrame as an Arrow table or batch, and its column; None for the column of an empty one.

        Raises:
            SourceError: the table has no such column, or the column has no value in some row.
        """
        table = as_arrow(frame)
        if table.num_rows == 0:
            return table, None
        self._name = spelling_in(table.schema.names, self._name)
        if self._name not in table.schema.names:
            raise self._absent(table.schema.names)
        column = table.column(self._name)
        if column.null_count or _holds_nan(column):
            raise self.no_value()
        return table, column

    def no_value(self) -> SourceError:
        """Return the error for a row without a value: it is in no interval, and a cursor cannot tell whether it is new.

        Leaving it out would lose it, and taking it along would load it again with every run.
        """
        return SourceError(
            f"Resource {self.resource!r}: a row has no value in {self.key!r}, the incremental-key",
            expected="a value in every row: without one, nobody can tell whether the row is new, or in the interval",
            found="None, or not a number",
            remedy="leave such rows out or fill the column in, or give the resource an incremental of its own with "
            "on_cursor_value_missing",
        )

    def _absent(self, columns: list[str]) -> SourceError:
        return SourceError(
            f"Resource {self.resource!r}: a row has no {self.key!r}, the incremental-key",
            expected=f"{self.key!r} in every row",
            found=f"the columns {', '.join(map(str, columns[:_SHOWN_COLUMNS]))}" if columns else "a row without it",
            remedy="write the key as the rows of the source have it, or give the resource an incremental of its own",
        )


def spelling_in(columns: Iterable[Any], name: str) -> str:
    """Return `name` as the columns spell it: `updatedAt` for `updated_at`; `name` itself if it or none is there."""
    names = [column for column in columns if isinstance(column, str)]
    if name in names:
        return name
    found = [column for column in names if _fold(column) == _fold(name)]
    return found[0] if len(found) == 1 else name


def _fold(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def is_none(value: Any) -> bool:
    """Tell whether a value is none: None, or one of pandas' NaT and NaN, which differ from themselves."""
    return value is None or bool(value != value)


def _holds_nan(column: Any) -> bool:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    return bool(pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py())
