"""Windows of local days: days of 23 and of 25 hours belong to one window each, and every instant to exactly one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nilus.runtime.rows.reading.window import Bounds
from nilus.values.interval import parse_instant

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


def _midnight(day, zone=BERLIN):
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _window(day, zone=BERLIN, *, as_utc=False):
    """The window of a local day, its ends written and read as they cross into the child."""
    ends = (_midnight(day, zone), _midnight(day + timedelta(days=1), zone))
    written = [(end.astimezone(UTC) if as_utc else end).isoformat() for end in ends]
    return Bounds("orders", "at", *map(parse_instant, written))


def _kept(window, values):
    return [row["at"] for row in window.keep([{"at": value} for value in values]) or []]


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (date(2026, 6, 1), 24), (AUTUMN, 25)])
@pytest.mark.parametrize("as_utc", [False, True])
def test_a_local_day_has_as_many_hours_as_it_has(day, hours, as_utc):
    begin = _midnight(day).astimezone(UTC) - timedelta(hours=30)
    moments = [begin + timedelta(hours=n) for n in range(90)]
    kept = _kept(_window(day, as_utc=as_utc), moments)
    assert len(kept) == hours
    assert {moment.astimezone(BERLIN).date() for moment in kept} == {day}


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_a_column_of_days_has_the_one_day_also_where_the_clocks_change(day):
    days = [day + timedelta(days=n) for n in range(-3, 4)]
    assert _kept(_window(day), days) == [day]
    assert _kept(_window(day), [one.isoformat() for one in days]) == [day.isoformat()]


@given(
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
)
def test_every_instant_is_in_the_window_of_exactly_one_local_day(moment, zone):
    zone = ZoneInfo(zone)
    local = moment.astimezone(zone).date()
    holding = [
        day
        for day in (local + timedelta(days=n) for n in range(-2, 3))
        if _kept(_window(day, zone), [moment, moment.isoformat()])
    ]
    assert holding == [local]


def test_naive_values_are_utc_whatever_offset_the_interval_has():
    begin = _midnight(SPRING).astimezone(UTC).replace(tzinfo=None)
    moments = [begin + timedelta(hours=n) for n in range(-2, 26)]
    kept = _kept(_window(SPRING), moments)
    assert (kept[0], len(kept)) == (begin, 23)
