"""A column of an Arrow table in the type of the table's column, as long as no value changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlt.common.data_types.type_helpers import coerce_value, py_type_to_sc_type
from dlt.common.json import json


@dataclass(frozen=True)
class ColumnFit:
    """What became of a column.

    Args:
        array: the values that fit, the others null.
        left: the values that do not, the others null; None if all fit.
        example: the first of these.
        kind: dlt's type of these.
    """

    array: Any
    left: Any = None
    example: Any = None
    kind: str = ""


def plain_type(kind: Any) -> Any:
    """Return the type in which a column is made that no table has yet: one for all widths of text, bytes and clocks.

    Args:
        kind: an Arrow type.
    """
    import pyarrow as pa  # type: ignore[import-untyped]

    types = pa.types
    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_timestamp(kind) and kind.unit in ("s", "ms"):
        return pa.timestamp("us", kind.tz)
    same: list[tuple[Callable[[Any], bool], Any]] = [
        (types.is_large_string, pa.string()),
        (types.is_string_view, pa.string()),
        (types.is_large_binary, pa.binary()),
        (types.is_binary_view, pa.binary()),
        (types.is_floating, pa.float64()),
        (types.is_date, pa.date32()),
        (types.is_time32, pa.time64("us")),
    ]
    return next((wanted for is_kind, wanted in same if is_kind(kind)), kind)


def fit(column: Any, data_type: str, target: Any) -> ColumnFit:
    """Return a column in another type: those values of it that stay the same, and the rest.

    Args:
        column: an Arrow array, in one piece or several.
        data_type: dlt's type of the target.
        target: an Arrow type.
    """
    import pyarrow as pa

    is_json = data_type == "json"  # a text need not be one
    if column.type == target and not is_json:
        return ColumnFit(column)
    if not is_json and _casts_exactly(column.type, target):
        try:
            return ColumnFit(column.cast(target))
        except pa.ArrowException:
            pass
    return _one_by_one(column, data_type, target)


def _casts_exactly(source: Any, target: Any) -> bool:
    """Tell whether Arrow refuses to cast a value that would change."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(source):
        return _casts_exactly(source.value_type, target)
    number = types.is_integer(source) or types.is_decimal(source)
    pairs = (
        (number or types.is_floating(source), types.is_integer(target)),
        (number, types.is_decimal(target)),
        (types.is_integer(source) or types.is_floating(source), types.is_floating(target)),
        (types.is_timestamp(source), types.is_timestamp(target) and target.tz == getattr(source, "tz", None)),
        (types.is_date(source), types.is_date(target)),
        (types.is_time(source), types.is_time(target)),
        (plain_type(source) == pa.string(), target == pa.string()),
        (plain_type(source) == pa.binary(), types.is_binary(target) or types.is_fixed_size_binary(target)),
        (types.is_fixed_size_binary(source), types.is_binary(target)),
    )
    return any(is_source and is_target for is_source, is_target in pairs)


def _one_by_one(column: Any, data_type: str, target: Any) -> ColumnFit:
    """Convert each value as dlt converts those of rows."""
    import pyarrow as pa

    fits: list[Any] = []
    left: list[bool] = []
    example, kind = None, ""
    for value in column.to_pylist():
        found = None
        if value is not None and not (isinstance(value, float) and math.isnan(value) and data_type != "double"):
            found = _convert(value, data_type, target)
            if found is None and not (data_type == "json" and _is_null_text(value)):
                example, kind = (value, str(py_type_to_sc_type(type(value)))) if not any(left) else (example, kind)
                fits.append(None)
                left.append(True)
                continue
        fits.append(found)
        left.append(False)
    array = pa.array(fits, target)
    if not any(left):
        return ColumnFit(array)
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    return ColumnFit(array, pc.if_else(pa.array(left), column, pa.scalar(None, column.type)), example, kind)


def _convert(value: Any, data_type: str, target: Any) -> Any:
    """Return a value in dlt's type; None if it would change."""
    import pyarrow as pa

    try:
        converted = coerce_value(data_type, py_type_to_sc_type(type(value)), value)  # type: ignore[arg-type]
        if not pa.types.is_string(target) and not pa.types.is_timestamp(target):
            pa.scalar(converted, target)
    except (ValueError, TypeError, SyntaxError, OverflowError, pa.ArrowException):
        return None
    if data_type == "json":
        return converted if converted is None or isinstance(converted, str) else json.dumps(converted)
    if pa.types.is_timestamp(target) and target.unit != "us" and converted != _truncate(converted, target):
        return None
    return converted


def _truncate(value: Any, target: Any) -> Any:
    import pyarrow as pa

    return pa.scalar(value, pa.timestamp("us", target.tz)).cast(target, safe=False).as_py()


def _is_null_text(value: Any) -> bool:
    """Tell whether a text is JSON for no value."""
    return isinstance(value, str) and value.strip() == "null"
