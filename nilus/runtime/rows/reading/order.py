"""The order of a column's values: what a cursor, a lag and the ends of a range compare.

dlt compares values as Python does. That loses rows where texts stand for something else (`'10' < '9'`, `…T00:00:00.5Z`
comes before `…T00:00:00Z`, an offset is only letters), and where clocks go back: a `datetime` of that hour equals none
of another zone. Here values are compared as what they are, and what has no order is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timezone
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

from nilus.values.secret_texts import cut


class Place(NamedTuple):
    """Where a value stands in its column.

    Attributes:
        kind: what it is.
        at: what is compared with values of the same kind.
        value: as it is written.
    """

    kind: str
    at: Any
    value: Any


INSTANT = "a point in time"
DAY = "a day"
NUMBER = "a number"
TEXT_INSTANT = "a text that is a point in time"
TEXT_DAY = "a text that is a day"
TEXT_NUMBER = "a text that is a number"
TEXT = "a text"

_TIMES = ({INSTANT, DAY}, {TEXT_INSTANT, TEXT_DAY})
_DATE_LENGTH = len("2026-01-31")
_QUOTED_LENGTH = 40
_MOST_DIGITS = 1_000
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(?:$|[Tt ]\d\d)|\d{8}[Tt]\d\d", re.ASCII)
_OFFSET = re.compile(r" ?(?:UTC|GMT|z)$| (?=[+-]\d\d:?(?:\d\d)?$)", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
# Dates whose letters are not their order: the day or month first, months by name, numbers without leading zeros.
_OTHER_DATE = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1\d{4}(?!\d)"
    r"|\d{4}([./-])(?:\d\2\d|\d\d\2\d(?!\d))"
    rf"|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +(?:\d|{_MONTHS})"
    rf"|(?:{_MONTHS})[a-z]*\.? +\d|\d{{1,2}}[ -](?:{_MONTHS})",
    re.ASCII | re.IGNORECASE,
)


class NoOrderError(ValueError):
    """Values that cannot be compared.

    Attributes:
        kinds: what they are, without the values.
        values: the values themselves.
    """

    def __init__(self, kinds: str, *values: Any) -> None:
        super().__init__(f"{kinds}: {', '.join(map(quote, values))}")
        self.kinds = kinds
        self.values = values


def place(value: Any) -> Place:
    """Return what a value is and where it stands among its like.

    Points in time are compared in UTC, those without an offset are UTC; digits of a second behind the sixth do not
    count.

    Raises:
        NoOrderError: the value is a text that names a date in a way that has no order.
    """
    if isinstance(value, str):
        return _of_text(value)
    value = plain(value)
    if isinstance(value, datetime):
        return Place(INSTANT, in_utc(value), value)
    if isinstance(value, date):
        return Place(DAY, value, value)
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        return Place(NUMBER, value, value)
    return Place(f"a value of type {type(value).__name__}", value, value)


def compare(row: Place, bound: Place) -> int:
    """Return -1, 0 or 1: whether a row's value is before, at or behind a bound.

    Beside points in time, a day is its midnight in UTC.

    Raises:
        NoOrderError: the two have no order.
    """
    at, than = row.at, bound.at
    if row.kind != bound.kind:
        at, than = _alike(row, bound)
    if type(at) is type(than) is str:
        _refuse_counted(at, than)
    try:
        return int(at > than) - int(at < than)
    except TypeError as error:
        raise _no_order(row, bound) from error


def in_utc(moment: datetime) -> datetime:
    """Return a point in time in UTC; one without an offset is UTC, and nanoseconds are cut off."""
    if type(moment) is not datetime:
        moment = plain(moment)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or the last day that there is
        return moment.replace(tzinfo=UTC)


def plain(value: Any) -> Any:
    """Return a value as the state can keep it: scalars of numpy and pandas as Python's."""
    package = type(value).__module__.partition(".")[0]
    if package == "pandas" and isinstance(value, datetime):
        return value.to_pydatetime(warn=False)  # type: ignore[attr-defined]
    if package != "numpy" or not hasattr(value, "item"):
        return value
    # What counts nanoseconds would become a plain number.
    return (value.astype("datetime64[us]") if value.dtype.kind == "M" else value).item()


def is_plainly_ordered(value: Any) -> bool:
    """Tell whether Python's own comparison orders a value among its like: numbers, points in time of a fixed offset."""
    kind = type(value)
    return kind is int or kind is float or (kind is datetime and type(value.tzinfo) is timezone)


def plain_types(*bounds: Any) -> tuple[type[Any], ...]:
    """Return the types whose plainly ordered values Python's own comparison orders beside all of the bounds.

    Args:
        bounds: values; None is no bound.
    """
    values = [bound for bound in bounds if bound is not None]
    if not values or not all(map(is_plainly_ordered, values)):
        return ()
    kinds = {type(value) for value in values}
    return (datetime,) if kinds == {datetime} else () if datetime in kinds else (int, float)


def quote(value: Any) -> str:
    """Return a value for a message, shortened."""
    return cut(repr(value), _QUOTED_LENGTH)


def read_instant(text: str) -> datetime | date:
    """Return the point in time that a text in ISO 8601 names, as it is written, or its day if it names no more.

    Raises:
        ValueError: it names neither.
    """
    if len(text) <= _DATE_LENGTH:
        return date.fromisoformat(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        # `… UTC` and `… +0200`, as databases write them.
        return datetime.fromisoformat(_OFFSET.sub(lambda found: "+00:00" if found[0].strip() else "", text))


def _of_text(text: str) -> Place:
    if _NUMBER.fullmatch(text) and len(text) <= _MOST_DIGITS:
        return Place(TEXT_NUMBER, int(text) if text.isdigit() else Decimal(text), text)
    if _INSTANT.match(text):
        try:
            moment = read_instant(text)
        except ValueError:
            raise NoOrderError("a text that looks like a point in time, but is not in ISO 8601", text) from None
        if isinstance(moment, datetime):
            return Place(TEXT_INSTANT, in_utc(moment), text)
        return Place(TEXT_DAY, moment, text)
    if _OTHER_DATE.match(text):
        raise NoOrderError("a text that is a date in a form whose letters are not in the order of the days", text)
    return Place(TEXT, text, text)


def _alike(row: Place, bound: Place) -> tuple[Any, Any]:
    """Return two values of different kinds as they can be compared."""
    kinds = {row.kind, bound.kind}
    if kinds in _TIMES:
        return _moment(row.at), _moment(bound.at)
    if kinds == {TEXT, TEXT_NUMBER} and len(row.value) == len(bound.value):
        return row.value, bound.value
    raise _no_order(row, bound)


def _moment(at: datetime | date) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time(), UTC)


def _no_order(row: Place, bound: Place) -> NoOrderError:
    return NoOrderError(f"{row.kind} beside {bound.kind}", row.value, bound.value)


def _refuse_counted(text: str, other: str) -> None:
    """Refuse texts such as `A-9` and `A-10`: by letters, the second comes before the first."""
    low, high = 0, min(len(text), len(other))
    while low < high:  # the length of the beginning that both have
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text[:middle] == other[:middle] else (low, middle - 1)
    start = len(text[:low].rstrip("0123456789"))
    run, other_run = _DIGITS.match(text, start), _DIGITS.match(other, start)
    if run is None or other_run is None or max(len(run[0]), len(other_run[0])) > _MOST_DIGITS:
        return
    if len(text) == len(other) and not (_ends_word(text, run.end()) and _ends_word(other, other_run.end())):
        return  # digits of a hexadecimal number, of a code
    if (int(run[0]) > int(other_run[0])) != (text > other):
        raise NoOrderError("texts whose order by letters is not that of the numbers in them", text, other)


def _ends_word(text: str, position: int) -> bool:
    return not text[position : position + 1].isalnum()
