"""Which rows lie in an interval: start <= key < end, whatever a row writes its instant as."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pytest

from nilus.errors import SourceError
from nilus.runtime.rows.reading.window import Bounds

START = datetime(2026, 1, 2, tzinfo=UTC)
END = datetime(2026, 1, 3, tzinfo=UTC)
NOON = START.replace(hour=12)
INDIA = timezone(timedelta(hours=5, minutes=30))

# Before, on the start, inside, on the end, after: only the second and the third are in.
AWARE = [START - timedelta(microseconds=1), START, NOON, END, END + timedelta(days=1)]


def _bounds(start=START, end=END, key="at"):
    return Bounds("orders", key, start, end)


def _kept(values, **bounds):
    rows = _bounds(**bounds).keep([{"n": n, "at": value} for n, value in enumerate(values)])
    return [row["n"] for row in rows or []]


@pytest.mark.parametrize(
    "written",
    [
        lambda moment: moment,
        lambda moment: moment.astimezone(INDIA),
        lambda moment: moment.replace(tzinfo=None),
        lambda moment: pd.Timestamp(moment),
        lambda moment: moment.isoformat(),
        lambda moment: moment.isoformat().replace("+00:00", "Z"),
        lambda moment: moment.isoformat(sep=" "),
        lambda moment: moment.replace(tzinfo=None).isoformat(),
        lambda moment: moment.astimezone(INDIA).isoformat(timespec="microseconds"),
        lambda moment: moment.isoformat(timespec="microseconds").replace("+00:00", "000Z"),
    ],
    ids=["aware", "offset", "naive", "pandas", "iso", "Z", "space", "naive iso", "offset iso", "nanoseconds"],
)
def test_the_start_is_in_and_the_end_is_out_however_an_instant_is_written(written):
    assert _kept([written(moment) for moment in AWARE]) == [1, 2]


def test_texts_are_compared_as_instants_and_not_letter_by_letter():
    # By letters, "…00.5Z" comes before "…00Z", and "…23:30-05:00" before both.
    assert _kept(["2026-01-02T00:00:00.5Z", "2026-01-01T23:30:00-05:00", "2026-01-03T01:00:00+02:00"]) == [0, 1, 2]


@pytest.mark.parametrize("written", [lambda day: day, lambda day: day.isoformat()], ids=["date", "text"])
def test_days_are_in_an_interval_of_whole_days(written):
    days = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]
    assert _kept([written(day) for day in days]) == [1]


def test_days_are_those_of_the_offset_the_interval_is_written_with():
    start = datetime(2026, 1, 2, tzinfo=INDIA)
    assert _kept(
        [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)], start=start, end=start + timedelta(days=1)
    ) == [1]


@pytest.mark.parametrize("value", [date(2026, 1, 2), "2026-01-02"], ids=["date", "text"])
def test_an_interval_that_cuts_a_day_is_refused_for_days(value):
    with pytest.raises(SourceError, match="'at' holds days, which the interval cuts") as caught:
        _kept([value], start=START.replace(hour=6))
    assert "midnight" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1767312000, "a value of type int"),
        (1767312000.5, "a value of type float"),
        ("1767312000", "the text '1767312000'"),
        ("02/01/2026 10:00", "the text '02/01/2026 10:00'"),
        ("yesterday", "the text 'yesterday'"),
        (True, "a value of type bool"),
        ({"year": 2026}, "a value of type dict"),
    ],
)
def test_what_names_no_instant_is_refused_with_resource_column_and_remedy(value, found):
    with pytest.raises(SourceError, match="Resource 'orders': incremental-key 'at' cannot be compared") as caught:
        _kept([NOON, value])
    assert caught.value.found == found
    assert "interval=None" in caught.value.remedy
    assert not caught.value.retryable


@pytest.mark.parametrize("value", [None, pd.NaT, float("nan")], ids=str)
def test_a_row_without_a_value_is_refused_with_resource_and_column(value):
    with pytest.raises(SourceError, match="Resource 'orders': a row has no value in 'at'"):
        _kept([NOON, value])


def test_a_row_without_the_column_is_refused_with_the_columns_it_has():
    with pytest.raises(SourceError, match="a row has no 'at'") as caught:
        _bounds().keep({"id": 1, "created": NOON})
    assert caught.value.found == "the columns id, created"


def test_a_path_reaches_into_nested_rows_and_attributes_into_objects():
    assert _bounds(key="meta.at").keep({"meta": {"at": NOON}}) is not None
    assert _bounds(key="meta.at").keep({"meta": {"at": END}}) is None

    class Row:
        at = NOON

    row = Row()
    assert _bounds().keep(row) is row


def test_an_open_end_keeps_what_comes_after():
    assert _kept(AWARE, end=None) == [1, 2, 3, 4]
    assert _kept([date(2026, 1, 1), date(2026, 1, 2)], end=None) == [1]


def test_empty_lists_pass_and_lists_without_a_row_inside_are_gone():
    empty = []
    assert _bounds().keep(empty) is empty
    assert _bounds().keep([{"at": END}]) is None
    assert _bounds().keep(None) is None


def _column(kind):
    moments = {
        "aware": pa.array(AWARE, pa.timestamp("us", "UTC")),
        "zone": pa.array(AWARE, pa.timestamp("us", "Europe/Berlin")),
        "naive": pa.array([moment.replace(tzinfo=None) for moment in AWARE], pa.timestamp("us")),
        "nanoseconds": pa.array([moment.replace(tzinfo=None) for moment in AWARE], pa.timestamp("ns")),
        "text": pa.array([moment.isoformat() for moment in AWARE]),
        "large text": pa.array([moment.isoformat() for moment in AWARE], pa.large_string()),
        "categories": pa.array([moment.isoformat() for moment in AWARE]).dictionary_encode(),
    }
    return moments[kind]


@pytest.mark.parametrize("kind", ["aware", "zone", "naive", "nanoseconds", "text", "large text", "categories"])
@pytest.mark.parametrize("shape", ["table", "batch", "frame"])
def test_columns_of_tables_are_compared_like_rows(kind, shape):
    table = pa.table({"n": list(range(len(AWARE))), "at": _column(kind)})
    items = {"table": lambda: table, "batch": lambda: table.to_batches()[0], "frame": table.to_pandas}[shape]()
    kept = _bounds().keep(items)
    assert kept.column("n").to_pylist() == [1, 2]
    assert kept.num_columns == 2


def test_seconds_of_a_table_are_compared_with_fractions_of_the_interval():
    seconds = pa.table({"at": pa.array([0, 1, 2], pa.timestamp("s", "UTC"))})
    start = datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert _bounds(start=start, end=None).keep(seconds).num_rows == 2


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.string()], ids=str)
def test_days_of_tables_are_compared_with_whole_days(kind):
    days = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]
    values = [day.isoformat() for day in days] if kind == pa.string() else days
    table = pa.table({"n": [0, 1, 2], "at": pa.array(values, kind)})
    assert _bounds().keep([table])[0].column("n").to_pylist() == [1]
    with pytest.raises(SourceError, match="which the interval cuts"):
        _bounds(start=START.replace(hour=1)).keep(table)


@pytest.mark.parametrize(
    ("column", "match"),
    [
        (pa.array([1, 2]), "cannot be compared"),
        (pa.array([1.5, 2.5]), "cannot be compared"),
        (pa.array([NOON, None], pa.timestamp("us", "UTC")), "no value in 'at'"),
        (pa.nulls(2), "no value in 'at'"),
        (pa.array(["x", "y"]), "cannot be compared"),
    ],
    ids=["int", "float", "one null", "all null", "text"],
)
def test_a_column_of_a_table_that_names_no_instants_is_refused(column, match):
    with pytest.raises(SourceError, match=match):
        _bounds().keep(pa.table({"at": column}))


def test_a_table_without_the_column_is_refused_and_an_empty_one_passes():
    with pytest.raises(SourceError, match="a row has no 'at'") as caught:
        _bounds().keep(pa.table({"id": [1]}))
    assert caught.value.found == "the columns id"
    assert _bounds().keep(pa.table({"id": pa.array([], pa.int64())})).num_rows == 0
    assert _bounds().keep(pa.table({"at": [END]})) is None
