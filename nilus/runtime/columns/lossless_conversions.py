"""dlt's conversions of a value to the type of a column that exists, without those that lose something of it.

dlt stores the 5 of a row in a column of booleans as true, and noon of a day in one of dates as the day. Such a value
does not fit, and goes where dlt puts all others that do not: into a column beside it, `name__v_<type>`.
"""

from __future__ import annotations

import json as standard_json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Final

from dlt.common.json import json
from dlt.common.time import ensure_datetime

from nilus.runtime.engine.internals.arrow import conversions

_Convert = Callable[[Any], Any]
_DAY_SECONDS: Final = 86_400
_MIN_BIGINT: Final = -(2**63)
_MAX_BIGINT: Final = 2**63 - 1
_MAX_UNSIGNED: Final = 2**64 - 1


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
    def check(value: datetime) -> Any:
        if value.timetz() != time(0, tzinfo=value.tzinfo):
            raise ValueError(value)
        return convert(value)

    return check


def _number_as_date(convert: _Convert) -> _Convert:
    def check(value: float) -> Any:
        if value % _DAY_SECONDS:
            raise ValueError(value)
        return convert(value)

    return check


def _text_as_date(convert: _Convert) -> _Convert:
    def check(value: str) -> Any:
        moment = ensure_datetime(value)
        if moment.timetz() != time(0, tzinfo=moment.tzinfo):
            raise ValueError(value)
        return convert(value)

    return check


def _in_64_bits(convert: _Convert) -> _Convert:
    def check(value: Any) -> Any:
        converted = convert(value)
        if not _MIN_BIGINT <= converted <= _MAX_BIGINT:
            raise ValueError(value)
        return converted

    return check


def _text_as_double(value: str) -> float:
    try:
        return _decimal_as_double(Decimal(value.strip()))
    except ArithmeticError:  # not a number, or not a finite one
        raise ValueError(value) from None


def _text_as_json(value: str) -> Any:
    """Return nested values as they are read; of other JSON, and of numbers that would change, the text itself."""
    found = json.loads(value)
    if found is None or (isinstance(found, (dict, list)) and _keeps_numbers(value)):
        return found
    return value


def _keeps_numbers(text: str) -> bool:
    lost: list[str] = []

    def check(number: str) -> None:
        if Decimal(repr(float(number))) != Decimal(number):
            lost.append(number)

    def check_integer(number: str) -> None:
        if not _MIN_BIGINT <= int(number) <= _MAX_UNSIGNED:
            lost.append(number)

    standard_json.loads(text, parse_float=check, parse_int=check_integer)
    return not lost


@contextmanager
def lossless_conversions() -> Iterator[None]:
    """Let dlt convert only what stays the same value, for the time of the block."""
    with conversions({}) as known:
        changes: dict[tuple[str, str], _Convert] = {
            **{("bool", kind): _as_bool for kind in ("bigint", "double", "decimal", "wei")},
            **{("bigint", kind): _in_64_bits(known["bigint", kind]) for kind in ("text", "decimal", "double", "wei")},
            ("json", "text"): _text_as_json,
            ("double", "text"): _text_as_double,
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
