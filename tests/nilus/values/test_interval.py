"""Instants: dates and ISO 8601, aware at last."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nilus.values.interval import parse_instant

OFFSETS = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(
    lambda delta: dt.timezone(dt.timedelta(minutes=int(delta.total_seconds() // 60)))
)


@given(st.datetimes(timezones=OFFSETS))
@settings(database=None, deadline=None)
def test_what_is_written_with_an_offset_is_read_back_the_same(instant):
    for text in (instant.isoformat(), str(instant)):
        read = parse_instant(text)
        assert read == instant
        assert read.utcoffset() == instant.utcoffset()


@given(st.datetimes())
@settings(database=None, deadline=None)
def test_what_names_no_offset_is_utc(instant):
    for value in (instant, instant.isoformat()):
        assert parse_instant(value) == instant.replace(tzinfo=dt.UTC)


@given(st.dates())
@settings(database=None, deadline=None)
def test_a_date_is_its_midnight_in_utc(date):
    for value in (date, date.isoformat()):
        assert parse_instant(value) == dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["", "now", "2024-02-30", "2024-01-01T25:00", "01/02/2024"])
def test_what_is_no_instant_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)
