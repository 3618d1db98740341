"""A raw column in the type of its table's column: the same values that dlt makes of it row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from dlt.common.json import json
from dlt.common.schema.typing import TColumnSchema
from dlt.common.time import get_context_timezone, normalize_timezone

from nilus.runtime.columns import raw_column
from nilus.runtime.columns.raw_column import RawColumn
from nilus.runtime.engine.internals.normalizer import DataItemNormalizer

# What Arrow reads as dlt does: a date that no offset moves out of the calendar, a time to the second, at most six
# digits behind it, and an offset or none.
_INSTANT_TEXT = r"^[1-8]\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$"
_NAIVE_TEXT = r"^[1-8]\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?$"


class NotColumnar(Exception):  # noqa: N818 - not an error: dlt takes such rows itself
    """A column cannot be converted as a whole; the text says why."""


@dataclass(frozen=True)
class Target:
    """What a column becomes.

    Args:
        column: of dlt's schema, complete.
        arrow_type: of the load file.
        timezone: what dlt goes by for timestamps: whether the column is aware.
    """

    column: TColumnSchema
    arrow_type: Any
    timezone: bool

    @property
    def data_type(self) -> str:
        """dlt's data type."""
        return str(self.column["data_type"])

    @property
    def is_text(self) -> bool:
        """Whether the load file has texts."""
        import pyarrow as pa  # type: ignore[import-untyped]

        return bool(pa.types.is_string(self.arrow_type))


def typed_column(raw: RawColumn, rows: int, target: Target, normalizer: DataItemNormalizer) -> Any:
    """Return an Arrow array of `target.arrow_type` with the values of `raw`.

    Args:
        raw: not `NULL`.
        rows: how many there are.
        target: the column of the table.
        normalizer: dlt's; it says which types become which, and how.

    Raises:
        NotColumnar: a value does not fit, so that dlt would make a column for it, fail, or do what is known to nobody
            but dlt.
    """
    convert = _CONVERT.get((raw.kind, target.data_type))
    array = None if convert is None else convert(raw, target)
    return array if array is not None else _one_by_one(raw, rows, target, normalizer)


def _as_it_is(raw: RawColumn, target: Target) -> Any:
    return raw.data if raw.data.type == target.arrow_type else None


def _double_of_bigint(raw: RawColumn, target: Target) -> Any:
    return _cast(raw.data, target)


def _decimal(raw: RawColumn, target: Target) -> Any:
    return _cast(raw.data, target)


def _instant(raw: RawColumn, target: Target) -> Any:
    return _as_it_is(raw, target) if target.timezone and get_context_timezone() is UTC else None


def _naive(raw: RawColumn, target: Target) -> Any:
    if not target.timezone:
        return _as_it_is(raw, target)
    return _in_utc(raw.data, target) if get_context_timezone() is UTC else None


def _offset(raw: RawColumn, target: Target) -> Any:
    return _moment_of_text(raw, target) if target.timezone else None


def _moment_of_text(raw: RawColumn, target: Target) -> Any:
    """Read texts as points in time where all of them are written in the one way that needs no second thought."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    if not target.timezone or get_context_timezone() is not UTC:
        return None
    if pc.all(pc.match_substring_regex(raw.data, _INSTANT_TEXT)).as_py():
        return _cast(raw.data, target)
    if pc.all(pc.match_substring_regex(raw.data, _NAIVE_TEXT)).as_py():
        try:
            return _in_utc(raw.data.cast(pa.timestamp("us")), target)
        except pa.ArrowException:
            return None
    return None


def _in_utc(naive: Any, target: Target) -> Any:
    import pyarrow as pa

    if target.arrow_type != pa.timestamp("us", "UTC"):
        return None
    return naive.cast(pa.int64()).cast(target.arrow_type)


def _cast(array: Any, target: Target) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(target.arrow_type) and target.arrow_type != pa.timestamp("us", "UTC"):
        return None
    try:
        return array.cast(target.arrow_type)
    except pa.ArrowException:
        return None


def _json_text(raw: RawColumn, target: Target) -> Any:
    import pyarrow as pa

    if not pa.types.is_string(target.arrow_type):
        return None
    if not raw.has_marks():
        return raw.data
    values = raw.values(len(raw.data))
    return pa.array([None if value is None else json.dumps(value) for value in values], target.arrow_type)


_CONVERT: dict[tuple[str, str], Callable[[RawColumn, Target], Any]] = {
    (raw_column.TEXT, "text"): _as_it_is,
    (raw_column.TEXT, "timestamp"): _moment_of_text,
    (raw_column.BIGINT, "bigint"): _as_it_is,
    (raw_column.BIGINT, "double"): _double_of_bigint,
    (raw_column.DOUBLE, "double"): _as_it_is,
    (raw_column.BOOL, "bool"): _as_it_is,
    (raw_column.BINARY, "binary"): _as_it_is,
    (raw_column.DATE, "date"): _as_it_is,
    (raw_column.TIME, "time"): _as_it_is,
    (raw_column.DECIMAL, "decimal"): _decimal,
    (raw_column.INSTANT, "timestamp"): _instant,
    (raw_column.NAIVE, "timestamp"): _naive,
    (raw_column.OFFSET, "timestamp"): _offset,
    (raw_column.NESTED, "json"): _json_text,
}


def _one_by_one(raw: RawColumn, rows: int, target: Target, normalizer: DataItemNormalizer) -> Any:
    """Convert each value by dlt's own functions, as its normalizer does for a column that exists."""
    import pyarrow as pa

    converted = [None if value is None else _convert(value, target, normalizer) for value in raw.values(rows)]
    try:
        array = pa.array(converted, target.arrow_type)
    except (pa.ArrowException, OverflowError, TypeError, ValueError, UnicodeError) as error:
        raise NotColumnar(f"values that a column of {target.data_type} cannot hold") from error
    if not isinstance(array, pa.Array):
        raise NotColumnar("more text than one Arrow array holds")
    return array


def _convert(value: Any, target: Target, normalizer: DataItemNormalizer) -> Any:
    data_type: Any = target.data_type
    found = normalizer.py_type_to_sc_type_map.get(type(value))
    if found != data_type:
        reason = f"values of type {type(value).__name__} in a column of {data_type}"
        if not found or not normalizer.can_coerce_type(data_type, found):
            raise NotColumnar(reason)
        try:
            value = normalizer.coerce_type(data_type, found, value)
        except (ValueError, SyntaxError):
            raise NotColumnar(reason) from None
        if value is None:  # the JSON text null
            return None
    if data_type == "timestamp":
        return normalize_timezone(value, target.timezone)
    if data_type == "json" and not isinstance(value, str):
        return json.dumps(value)
    if data_type in ("decimal", "wei") and target.is_text:
        return str(value)
    return value
