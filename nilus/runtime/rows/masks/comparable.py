"""One value of a row in one form, whatever kind of row it came in: what a mask is computed from.

A number is 5 in a dict, 5.0 in a DataFrame with a gap in the column, and a Decimal with two zeros in an Arrow table; an
instant has the time zone of whoever wrote it. The same value must be masked in the same way in all of them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

Number = int | float | Decimal
_MISSING_TYPES = frozenset({"NAType", "NaTType"})


def to_plain(value: Any) -> Any:
    """Return a value of Python's own types: None for all that is missing, no numpy and no pandas.

    Missing are None, NaN, and pandas' `NaT` and `NA`. Datetimes are aware and in UTC, naive ones count as UTC. What is
    of none of these types is returned as it is.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind.__name__ in _MISSING_TYPES:
        return None
    if kind.__module__ == "numpy" and hasattr(value, "item"):
        value = value.astype("datetime64[us]").item() if kind.__name__ == "datetime64" else value.item()
    if isinstance(value, float | Decimal):
        return None if value != value else value  # NaN
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value


def as_mapping(row: Any) -> Mapping[Any, Any] | None:
    """Return a row, or a nested value, as a mapping: a dict, a pydantic model, a dataclass. None for all others."""
    if isinstance(row, Mapping):
        return row
    if hasattr(row, "model_dump"):
        dumped: dict[str, Any] = row.model_dump(by_alias=True)
        return dumped
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return None


def text(value: Any) -> str | None:
    """Return the one text of a value that `plain` returned; None if it has none.

    A whole number is written without a fraction whatever its type, an instant in ISO 8601 in UTC, bytes as hexadecimal
    digits, a mapping or list as JSON of such texts with sorted keys.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float | Decimal):
        return _number_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple) or as_mapping(value) is not None:
        return json.dumps(_jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return None


def data(value: Any) -> bytes | None:
    """Return what is hashed: the text of a value in UTF-8, bytes as they are; None if it has none."""
    if isinstance(value, bytes):
        return value
    written = text(value)
    return None if written is None else written.encode("utf-8", "surrogatepass")


def number(value: Any) -> Number | None:
    """Return the number a value is, or that a text is; None if there is none in it. True and False are none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, str):
        try:
            found = Decimal(value.strip())
        except ArithmeticError:
            return None
        return found if found.is_finite() else None
    return None


def moment(value: Any) -> date | None:
    """Return the day, or the instant in UTC, that a value is or that a text in ISO 8601 names; None if it is none."""
    if isinstance(value, str):
        written = value.strip()
        try:
            return _instant(datetime.fromisoformat(written)) if len(written) > 10 else date.fromisoformat(written)
        except ValueError:
            return None
    return value if isinstance(value, date) else None


def _instant(value: datetime) -> datetime:
    if hasattr(value, "to_pydatetime"):  # pandas: it has nanoseconds, which no sink of dlt keeps
        value = value.to_pydatetime(warn=False)
    return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _number_text(value: float | Decimal) -> str:
    written = repr(value) if isinstance(value, float) else str(value)
    exact = Decimal(written)
    if not exact.is_finite():
        return str(float(exact))
    if exact == exact.to_integral_value():
        return str(int(exact))
    return f"{exact.normalize():f}"


def _jsonable(value: Any) -> Any:
    value = to_plain(value)
    mapping = as_mapping(value)
    if mapping is not None:
        return {str(key): _jsonable(inner) for key, inner in mapping.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    return None if value is None else text(value) or str(value)
