"""One column of rows, held as Arrow data without any decision on its type: what came in comes out.

dlt writes extracted rows as JSON, with marks for what JSON has no type for, and reads them back before it decides on
types. A raw column stands for exactly what dlt reads back: NaN is null, a UUID is a text, a tuple is a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

import orjson

from nilus.runtime.columns.json_texts import json_texts
from nilus.runtime.columns.typed_json import escape, typed_json
from nilus.runtime.engine.internals.marks import MARK_BYTES, resolve_marks

NULL: Final = "null"
TEXT: Final = "text"
BIGINT: Final = "bigint"
DOUBLE: Final = "double"
BOOL: Final = "bool"
BINARY: Final = "binary"
DATE: Final = "date"
TIME: Final = "time"
DECIMAL: Final = "decimal"
"""As texts: an Arrow decimal would forget the number of digits behind the point."""
INSTANT: Final = "instant"
"""Datetimes of UTC."""
NAIVE: Final = "naive"
"""Datetimes without an offset."""
OFFSET: Final = "offset"
"""Other datetimes, in ISO 8601: an Arrow timestamp would forget their offset."""
NESTED: Final = "nested"
"""Dicts and lists, each as JSON with dlt's marks."""
MIXED: Final = "mixed"
"""Anything else: one JSON list of all values, with dlt's marks."""

_MARK = re.compile(re.escape(MARK_BYTES))
_NONE = type(None)


class NotRows(Exception):  # noqa: N818 - not an error: dlt takes such rows itself
    """What came cannot be held in columns; the text says why."""


@dataclass(frozen=True)
class RawColumn:
    """The values of one column.

    Args:
        kind: one of the kinds above.
        data: an Arrow array; the JSON of a `MIXED` column; None for a `NULL` one.
    """

    kind: str
    data: Any

    @property
    def is_null(self) -> bool:
        """Whether no row has a value."""
        return self.kind == NULL

    def first(self) -> int:
        """Return the index of the first row that has a value; there must be one."""
        if self.kind == MIXED:
            return next(index for index, value in enumerate(orjson.loads(self.data)) if value is not None)
        if self.data.null_count == 0 or self.data[0].is_valid:
            return 0
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        return int(pc.index(pc.is_valid(self.data), True).as_py())

    def has_marks(self) -> bool:
        """Tell whether a text of the column may begin with one of dlt's marks."""
        if self.kind == MIXED:
            return _MARK.search(self.data) is not None
        if self.kind not in (TEXT, NESTED):
            return False
        buffer = self.data.buffers()[2]
        return buffer is not None and _MARK.search(buffer) is not None

    def to_encoder(self, rows: int) -> list[Any]:
        """Return the values as dlt's encoder takes them: marks stay, texts that look so are escaped.

        Args:
            rows: how many there are.
        """
        if self.kind == NULL:
            return [None] * rows
        if self.kind == MIXED:
            values: list[Any] = orjson.loads(self.data)
            return values
        plain: list[Any] = self.data.to_pylist()
        if self.kind == TEXT and self.has_marks():
            plain = [escape(value) for value in plain]
        read = _READ.get(self.kind)
        return plain if read is None else [None if value is None else read(value) for value in plain]

    def values(self, rows: int) -> list[Any]:
        """Return the values as dlt has them after it has read its JSON, marks resolved.

        Args:
            rows: how many there are.
        """
        values = self.to_encoder(rows)
        if self.kind in (NESTED, MIXED) or self.has_marks():
            values = resolve_marks(values)
        return values


_READ: dict[str, Callable[[Any], Any]] = {
    DECIMAL: Decimal,
    INSTANT: lambda moment: moment.replace(tzinfo=UTC),
    OFFSET: datetime.fromisoformat,
    NESTED: orjson.loads,
}


def raw_column(values: Sequence[Any]) -> RawColumn:
    """Hold `values` as a column.

    Args:
        values: of one column, in the order of the rows; None where a row has none.

    Raises:
        NotRows: they cannot be written as dlt writes them; its own error says why.
    """
    kinds = set(map(type, values))
    has_none = _NONE in kinds
    kinds.discard(_NONE)
    try:
        if not kinds:
            return RawColumn(NULL, None)
        column = None
        if len(kinds) == 1:
            build = _BUILD.get(kinds.pop())
            column = None if build is None else build(values, has_none)
        elif kinds == {dict, list}:
            column = _nested_column(values, has_none)
        return column or _mixed_column(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise NotRows(str(error)) from error


def _array(kind: str, values: Sequence[Any], arrow_type: str) -> RawColumn | None:
    import pyarrow as pa

    try:
        array = pa.array(values, pa.type_for_alias(arrow_type))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError, ValueError):
        return None
    # A column of more than 2 GB of text comes in several arrays.
    return RawColumn(kind, array) if isinstance(array, pa.Array) else None


def _text(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    return _array(TEXT, values, "string")


def _bigint(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    return _array(BIGINT, values, "int64")


def _bool(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    return _array(BOOL, values, "bool")


def _date(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    return _array(DATE, values, "date32")


def _double(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pa.array(values, pa.float64())
    finite = pc.is_finite(array)
    if not pc.all(finite).as_py():  # JSON has neither NaN nor infinity: they are written as null
        array = pc.if_else(finite, array, None)
    return RawColumn(NULL, None) if array.null_count == len(array) else RawColumn(DOUBLE, array)


def _binary(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    return _array(BINARY, values, "binary")


def _time(values: Sequence[Any], has_none: bool) -> RawColumn | None:
    return _array(TIME, values, "time64[us]") if _zone(values, has_none) is None else None


def _decimal(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    return _array(DECIMAL, [None if value is None else str(value) for value in values], "string")


def _datetime(values: Sequence[Any], has_none: bool) -> RawColumn | None:
    import pyarrow as pa

    zone = _zone(values, has_none)
    if zone is None:
        return _array(NAIVE, values, "timestamp[us]")
    if zone is UTC:
        return RawColumn(INSTANT, pa.array(values, pa.timestamp("us", "UTC")))
    return _array(OFFSET, [None if value is None else value.isoformat() for value in values], "string")


def _zone(values: Sequence[Any], has_none: bool) -> Any:
    """Return the time zone that all values have: None, or UTC itself; anything else where it is another, or several.

    Zones are told apart by identity: not every kind of them can be hashed.
    """
    present = [value for value in values if value is not None] if has_none else values
    zones = list(map(attrgetter("tzinfo"), present))
    return zones[0] if len(set(map(id, zones))) == 1 and zones[0] in (None, UTC) else False


def _nested_column(values: Sequence[Any], _has_none: bool) -> RawColumn | None:
    try:
        # Keys that are texts only: two keys may become the same text, which only reading it back settles.
        texts = json_texts(values, lambda value: typed_json(value, other_keys=False))
    except TypeError:
        return None
    return _array(NESTED, texts, "string")


def _mixed_column(values: Sequence[Any]) -> RawColumn:
    written = typed_json(values)
    if all(value is None for value in orjson.loads(written)):
        return RawColumn(NULL, None)
    return RawColumn(MIXED, written)


_BUILD: dict[type, Callable[[Sequence[Any], bool], RawColumn | None]] = {
    str: _text,
    int: _bigint,
    float: _double,
    bool: _bool,
    bytes: _binary,
    date: _date,
    time: _time,
    Decimal: _decimal,
    datetime: _datetime,
    dict: _nested_column,
    list: _nested_column,
}
