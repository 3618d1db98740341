"""dlt's conversions of a value to the type of a column that exists, without those that lose something of it.

dlt stores the 5 of a row in a column of booleans as true, and noon of a day in one of dates as the day. Such a value
does not fit, and goes where dlt puts all others that do not: into a column beside it, `name__v_<type>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Final

from dlt.common.time import ensure_datetime

from nilus.runtime.engine.internals.arrow import conversions

_Convert = Callable[[Any], Any]
_DAY_SECONDS: Final = 86_400


def _as_bool(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError(value)
    return bool(value)


def _integer_as_double(value: int) -> float:
    converted = float(value)
    if int(converted) != value:
        raise ValueError(value)
    return converted


def _decimal_as_double(value: Decimal) -> float:
    converted = float(value)
    if Decimal(repr(converted)) != value:
        raise ValueError(value)
    return converted


def _timestamp_as_date(convert: _Convert) -> _Convert:
    def checked(value: datetime) -> Any:
        if value.timetz() != time(0, tzinfo=value.tzinfo):
            raise ValueError(value)
        return convert(value)

    return checked


def _number_as_date(convert: _Convert) -> _Convert:
    def checked(value: float) -> Any:
        if value % _DAY_SECONDS:
            raise ValueError(value)
        return convert(value)

    return checked


def _text_as_date(convert: _Convert) -> _Convert:
    def checked(value: str) -> Any:
        moment = ensure_datetime(value)
        if moment.timetz() != time(0, tzinfo=moment.tzinfo):
            raise ValueError(value)
        return convert(value)

    return checked


@contextmanager
def lossless_conversions() -> Iterator[None]:
    """Let dlt convert only what stays the same value, for the time of the block."""
    with conversions({}) as known:
        changes: dict[tuple[str, str], _Convert] = {
            **{("bool", kind): _as_bool for kind in ("bigint", "double", "decimal", "wei")},
            ("double", "bigint"): _integer_as_double,
            ("double", "decimal"): _decimal_as_double,
            ("double", "wei"): _decimal_as_double,
            ("date", "timestamp"): _timestamp_as_date(known["date", "timestamp"]),
            ("date", "text"): _text_as_date(known["date", "text"]),
            ("date", "bigint"): _number_as_date(known["date", "bigint"]),
            ("date", "double"): _number_as_date(known["date", "double"]),
        }
        with conversions(changes):
            yield
