"""Cursors of texts, of days, of nights in which clocks change; lags; transformers: what each run reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dlt
import pandas as pd
import pendulum
import pyarrow as pa
import pytest
from dlt.common.configuration.container import Container
from dlt.common.json import json
from dlt.common.pipeline import StateInjectableContext
from dlt.extract.exceptions import PipeException

from nilus.errors import SourceError
from nilus.runtime.engine.context import isolation
from nilus.runtime.rows.reading import ordered_cursor
from nilus.runtime.rows.steps.frames import is_frame

CONFIGURATION = {"providers": {"enable_airflow_secrets": False}, "runtime": {"dlthub_telemetry": False}}
BERLIN = ZoneInfo("Europe/Berlin")
SHAPES: dict[str, Callable[[list[dict[str, Any]]], list[Any]]] = {
    "rows": lambda rows: rows,
    "list": lambda rows: [rows],
    "frame": lambda rows: [pd.DataFrame(rows)],
    "table": lambda rows: [pa.Table.from_pylist(rows)],
}
every_shape = pytest.mark.parametrize("shape", SHAPES)


class Cursor:
    """Runs a resource over and over, each time from the state of the time before."""

    def __init__(self) -> None:
        self._state: dict[str, Any] = {}

    def run(self, resource: Any) -> list[int]:
        """Return the ids that a run of the resource reads."""
        with Container().injectable_context(StateInjectableContext(state=self._state)):  # type: ignore[arg-type]
            try:
                ids = [id for item in resource for id in _ids(item)]
            except PipeException as error:
                raise (error.__cause__ or error) from None
        self._state = json.typed_loads(json.typed_dumps(self._state))
        return ids

    def read(self, values: list[Any], shape: str = "rows", **options: Any) -> list[int]:
        """Return the ids that a run reads of rows that have these values, numbered from 1."""
        items = SHAPES[shape]([{"id": id, "key": value} for id, value in enumerate(values, 1)])

        @dlt.resource(name="orders", primary_key="id")
        def orders() -> Iterator[Any]:
            yield from items

        kind = options.pop("type", None)
        make = dlt.sources.incremental if kind is None else dlt.sources.incremental[kind]
        return self.run(orders().apply_hints(incremental=make("key", **options)))


def _ids(item: Any) -> list[int]:
    if not is_frame(item):
        return [item["id"]]
    return list(item["id"]) if isinstance(item, pd.DataFrame) else item.column("id").to_pylist()


@pytest.fixture
def cursor(tmp_path: Path) -> Iterator[Cursor]:
    ordered_cursor.use(hides_values=False)
    with isolation(str(tmp_path), CONFIGURATION):
        yield Cursor()


TEXTS = {
    "fractions": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500Z"],
    "offsets": ["2026-01-01T01:30:00+02:00", "2026-01-01T00:00:00+00:00"],
    "numbers": ["9", "10"],
    "decimals": ["9.5", "10.25"],
    "day, then instant": ["2026-01-01", "2026-01-01T10:00:00Z"],
    "written by databases": ["2026-01-01 01:30:00 +0200", "2026-01-01 00:00:00 UTC"],
}


@every_shape
@pytest.mark.parametrize("values", TEXTS.values(), ids=TEXTS.keys())
def test_texts_are_read_once_in_the_order_of_what_they_stand_for(cursor, values, shape):
    assert cursor.read(values[:1], shape) == [1]
    assert cursor.read(values, shape) == [2]
    assert cursor.read(values, shape) == []
    assert cursor.read(values[:1], shape) == []


@every_shape
def test_the_order_is_kept_within_a_run_and_downwards_too(cursor, shape):
    assert cursor.read(["10", "9", "11"], shape, last_value_func=min) == [1, 2, 3]
    assert cursor.read(["10", "9", "8"], shape, last_value_func=min) == [3]


@every_shape
def test_both_ends_of_a_range_of_texts_are_compared_in_that_order(cursor, shape):
    values = ["8", "9", "10", "11"]
    assert cursor.read(values, shape, initial_value="8", end_value="9", range_end="closed") == [1, 2]
    instants = ["2025-12-31T23:00:00Z", "2026-01-01T00:30:00+02:00", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z"]
    ends = {"initial_value": "2025-12-31T23:30:00Z", "end_value": "2026-01-01T00:00:01Z"}
    assert cursor.read(instants, shape, **ends) == [3]


def test_a_day_and_then_points_in_time_are_one_column(cursor):
    values = [date(2026, 1, 1), datetime(2026, 1, 1, 10, tzinfo=UTC)]
    assert cursor.read(values[:1]) == [1]
    assert cursor.read(values) == [2]
    assert cursor.read([*values, date(2026, 1, 1)]) == [], "a day is its midnight, which comes before ten o'clock"
    assert cursor.read([*values, date(2026, 1, 2)]) == [3]


@every_shape
@pytest.mark.parametrize(
    ("first", "second"),
    [("31/01/2026", "01/02/2026"), ("A-9", "A-10"), ("9", "new"), ("Mon, 05 Jan 2026", "Tue, 06 Jan 2026")],
)
def test_what_has_no_order_is_refused_before_a_row_is_lost(cursor, first, second, shape):
    with pytest.raises(
        SourceError, match="Resource 'orders': the values of 'key', its cursor, have no order"
    ) as caught:
        cursor.read([first, second], shape)
    assert repr(first) in str(caught.value.found)
    assert not caught.value.retryable


@every_shape
def test_a_masked_value_is_in_no_message(cursor, shape):
    ordered_cursor.use(hides_values=True)
    with pytest.raises(SourceError) as caught:
        cursor.read(["A-9", "A-10"], shape)
    assert "A-" not in str(caught.value)
    other = Cursor()
    assert other.read(["A-9"], shape, lag=5) == [1]
    with pytest.raises(SourceError) as caught:
        other.read(["A-9"], shape, lag=5)
    assert "A-" not in str(caught.value)


NIGHTS = {
    "back, first hour": datetime(2024, 10, 27, 2, 45, tzinfo=BERLIN),
    "back, second hour": datetime(2024, 10, 27, 2, 45, fold=1, tzinfo=BERLIN),
    "forward": datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
    "pendulum": pendulum.datetime(2024, 10, 27, 2, 45, tz="Europe/Berlin", fold=0),
}


@every_shape
@pytest.mark.parametrize("newest", NIGHTS.values(), ids=NIGHTS.keys())
def test_a_cursor_in_the_hour_that_clocks_change_reads_nothing_twice(cursor, newest, shape):
    values = [newest - timedelta(days=1), newest]
    assert cursor.read(values, shape) == [1, 2]
    assert cursor.read(values, shape) == []
    assert cursor.read(values, shape) == []
    assert cursor.read([*values, newest + timedelta(days=1)], shape) == [3]


@every_shape
def test_the_second_hour_of_a_night_comes_behind_the_first(cursor, shape):
    values = [NIGHTS["back, first hour"], datetime(2024, 10, 27, 2, 15, fold=1, tzinfo=BERLIN)]
    assert cursor.read(values[:1], shape) == [1]
    assert cursor.read(values, shape) == [2]


@every_shape
@pytest.mark.parametrize("noon", [datetime(2024, 10, 27, 12, tzinfo=BERLIN), pendulum.datetime(2024, 10, 27, 11)])
def test_a_lag_takes_seconds_off_points_in_time_across_such_a_night(cursor, noon, shape):
    assert cursor.read([noon], shape, lag=86_400) == [1]
    # Noon of the day before is 25 hours earlier, one o'clock 24.
    day_before = datetime(2024, 10, 26, 12, tzinfo=BERLIN)
    assert cursor.read([noon, day_before, day_before.replace(hour=13)], shape, lag=86_400) == [1, 3]


@every_shape
def test_a_lag_takes_whole_days_off_where_the_cursor_says_days(cursor, shape):
    noon = datetime(2024, 10, 27, 12, tzinfo=BERLIN)
    options = {"lag": 1, "type": date}
    assert cursor.read([noon], shape, **options) == [1]
    midnight = datetime(2024, 10, 26, tzinfo=UTC)
    assert cursor.read([noon, midnight, midnight - timedelta(seconds=1)], shape, **options) == [1, 2]


@pytest.mark.parametrize("value", ["2026-01-01", "2026-01-01T00:00:00Z", "10"])
def test_a_lag_without_a_unit_is_refused(cursor, value):
    assert cursor.read([value], lag=3600) == [1]
    with pytest.raises(SourceError, match="the unit of the lag of cursor 'key' is unknown"):
        cursor.read([value], lag=3600)


@every_shape
def test_a_lag_over_texts_goes_by_the_unit_of_the_initial_value_and_never_back(cursor, shape):
    options = {"lag": 3600, "initial_value": "2026-01-01T00:00:00Z"}
    assert cursor.read(["2026-01-01T05:00:00Z"], shape, **options) == [1]
    assert cursor.read(["2026-01-01T03:00:00Z", "2026-01-01T04:30:00Z"], shape, **options) == [2]
    assert cursor.read(["2026-01-01T03:59:00Z"], shape, **options) == [], "the newest is still five o'clock"


def test_a_lag_of_days_is_taken_off_texts_that_are_days(cursor):
    options = {"lag": 2, "initial_value": "2024-10-01"}
    assert cursor.read(["2024-10-28"], **options) == [1]
    assert cursor.read(["2024-10-25", "2024-10-26", "2024-10-28"], **options) == [2, 3]


def _transformer(pages: list[list[int]], seen: list[int]) -> Any:
    @dlt.resource(selected=False)
    def page() -> Iterator[list[int]]:
        yield from pages

    @dlt.transformer(data_from=page, name="orders", primary_key="id")
    def orders(
        ids: list[int],
        at: Any = dlt.sources.incremental("id", initial_value=0),  # noqa: B008 - as sources write it
    ) -> Iterator[Any]:
        seen.append(at.last_value)
        yield [{"id": id} for id in ids]

    return orders


def test_a_transformer_s_own_cursor_is_compared_with_where_its_run_began(cursor):
    seen: list[int] = []
    assert sorted(cursor.run(_transformer([[5, 4], [1, 3], [2]], seen))) == [1, 2, 3, 4, 5]
    assert cursor.run(_transformer([[5, 4], [1, 3], [2]], seen)) == []
    assert cursor.run(_transformer([[7, 6], [2]], seen)) == [7, 6]
    assert seen == [0, 0, 0, 5, 5, 5, 5, 5]


@pytest.mark.parametrize(("missing", "ids"), [("include", [1, 2, 3]), ("exclude", [1, 3])])
def test_a_table_without_any_value_does_not_end_a_range(cursor, missing, ids):
    def tables() -> Iterator[pa.Table]:
        for id, key in enumerate([1, None, 3, 11], 1):
            yield pa.table({"id": [id], "key": pa.array([key], pa.int64())})

    resource = dlt.resource(tables, name="orders").apply_hints(
        incremental=dlt.sources.incremental(
            "key", initial_value=0, end_value=10, row_order="asc", on_cursor_value_missing=missing
        )
    )
    assert cursor.run(resource) == ids
