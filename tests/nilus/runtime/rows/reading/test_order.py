"""Which of two values of a column comes first, and which have no order."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pendulum
import pytest

from nilus.runtime.rows.reading.order import NoOrderError, compare, place, plain

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2024, 10, 27, 2, 45, tzinfo=BERLIN)

ASCENDING = {
    "fractions of a second": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.500001Z"],
    "offsets": ["2026-01-01T01:30:00+02:00", "2026-01-01T00:00:00+00:00", "2025-12-31T20:00:00-05:00"],
    "no offset is UTC": ["2026-01-01T01:30:00+02:00", "2026-01-01 00:00:00", "2026-01-01T00:00:01Z"],
    "as databases write them": ["2026-01-01 01:30:00 +0200", "2026-01-01 00:00:00 UTC", "20260101T000001z"],
    "a day is its midnight": ["2025-12-31T23:59:59Z", "2026-01-01", "2026-01-01T00:00:00.1Z", "2026-01-02"],
    "objects of both kinds": [date(2026, 1, 1), datetime(2026, 1, 1, 10, tzinfo=UTC), date(2026, 1, 2)],
    "numbers as texts": ["-1", "9", "10", "10.25", "010.3"],
    "numbers": [Decimal("0.1"), 1, 1.5, np.int64(2), np.float32(2.5)],
    "texts without numbers": ["a", "apple", "b"],
    "numbers of one length": ["A-09", "A-10", "B-01"],
    "codes of one length": ["00000010", "0000000a"][::-1],
    "hexadecimal of one length": ["018f10ab", "018f9abc"],
    "a number before one that begins like it": ["A-1", "A-10", "A-101"],
    "times of day": [time(1), time(2)],
    "identifiers": [uuid.UUID(int=1), uuid.UUID(int=2)],
    "clocks go back": [
        NIGHT - timedelta(days=1),
        NIGHT,
        datetime(2024, 10, 27, 1, 0, tzinfo=UTC),
        datetime(2024, 10, 27, 2, 15, fold=1, tzinfo=BERLIN),
        NIGHT.replace(fold=1),
        pendulum.datetime(2024, 10, 27, 3, tz="Europe/Berlin"),
    ],
    "clocks go forward": [
        datetime(2024, 3, 31, 1, 59, tzinfo=BERLIN),
        pd.Timestamp("2024-03-31T01:00:00Z"),
        datetime(2024, 3, 31, 3, 1, tzinfo=BERLIN),
    ],
    "the ends of time": [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
    ],
}


@pytest.mark.parametrize("values", ASCENDING.values(), ids=ASCENDING.keys())
def test_values_are_compared_as_what_they_are(values):
    for less, more in pairwise(map(place, values)):
        assert compare(less, more) == -1, (less, more)
        assert compare(more, less) == 1, (less, more)
        assert compare(less, less) == 0


EQUAL = [
    ("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
    ("2026-01-01", "2026-01-01T00:00:00+00:00"),
    ("9", "9.0"),
    (1, Decimal(1)),
    (NIGHT, NIGHT.astimezone(UTC)),
    (NIGHT, pendulum.instance(NIGHT)),
    (datetime(2026, 1, 1), pd.Timestamp("2026-01-01T00:00:00.000000999Z")),
    (datetime(2026, 1, 1), np.datetime64("2026-01-01T00:00:00.000000999")),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_one_value_written_in_two_ways_is_one(one, other):
    assert compare(place(one), place(other)) == 0


REFUSED = [
    ("9", "new"),
    ("A-9", "A-10"),
    ("1.9.1", "1.10"),
    ("1.9.10", "1.10.9"),
    ("x" * 200 + "9", "x" * 200 + "10"),
    ("2026-9", "2026-10"),
    ("9:05", "10:05"),
    ("2026-01-01T10:00:00Z", "later"),
    ("2026-01-01", "20260102"),
    (1, "2"),
    (date(2026, 1, 1), "2026-01-02"),
    (datetime(2026, 1, 1), 1767225600),
    ({"a": 1}, {"a": 2}),
    (time(1), time(2, tzinfo=UTC)),
]


@pytest.mark.parametrize(("one", "other"), REFUSED)
def test_values_that_have_no_order_are_refused(one, other):
    with pytest.raises(NoOrderError) as caught:
        compare(place(one), place(other))
    assert len(str(caught.value)) < 200
    assert not any(str(value) in caught.value.kinds for value in (one, other))


@pytest.mark.parametrize(
    "text",
    [
        *("31/01/2026", "1.2.2026", "2026-1-31", "2026/1/31", "Mon, 05 Jan 2026 10:00:00 GMT", "Jan 5, 2026"),
        *("5 Jan 2026", "2026-13-01", "2026-01-01T25:00:00Z", "0000-00-00"),
    ],
)
def test_a_text_that_writes_a_date_so_that_it_has_no_order_is_refused_alone(text):
    with pytest.raises(NoOrderError):
        place(text)


def test_a_text_of_any_length_is_compared():
    assert compare(place("9" * 5_000), place("9" * 5_000 + "1")) == -1


def test_scalars_of_numpy_and_pandas_are_kept_as_python_s():
    assert plain(np.int64(5)) == 5
    assert type(plain(np.int64(5))) is int
    assert plain(np.datetime64("2026-01-01T00:00:00", "ns")) == datetime(2026, 1, 1)
    assert type(plain(pd.Timestamp("2026-01-01T00:00:00.000000999"))) is datetime
