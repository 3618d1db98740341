"""Windows and cursors: what a run with an incremental-key loads, and where the next one goes on."""

from __future__ import annotations

import pytest

from nilus.errors import SourceError, StateError

DAY = ("2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00")
NEXT_DAY = ("2026-01-03T00:00:00+00:00", "2026-01-04T00:00:00+00:00")

# One resource for each way to write an instant; each row is an hour after the one before, over three days.
EVERY_WRITING = """
    from datetime import UTC, date, datetime, timedelta
    import pandas as pd
    import pyarrow as pa

    BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
    MOMENTS = [BEGIN + timedelta(hours=n) for n in range(72)]

    WRITINGS = {
        "aware": lambda moment: moment,
        "naive": lambda moment: moment.replace(tzinfo=None),
        "iso": lambda moment: moment.isoformat(),
        "zulu": lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "day": lambda moment: moment.date(),
        "day_text": lambda moment: moment.date().isoformat(),
    }

    def rows(write):
        for n, moment in enumerate(MOMENTS):
            yield {"n": n, "updated at": write(moment)}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            assert kwargs["interval_start"].isoformat() == "2026-01-02T00:00:00+00:00", kwargs
            for name, write in WRITINGS.items():
                yield nilus.resource(lambda write=write: rows(write), name=name)
            yield nilus.resource(lambda: [pd.DataFrame(rows(WRITINGS["naive"]))], name="frame")
            yield nilus.resource(lambda: [pa.Table.from_pylist(list(rows(WRITINGS["iso"])))], name="table_of_texts")
"""


def test_a_window_holds_the_same_rows_however_the_key_is_written(run_source):
    outcome = run_source(EVERY_WRITING, strategy="append", incremental_key="updated at", interval=DAY)
    assert outcome.loaded.reading == "windowed"
    assert tuple(outcome.loaded.interval) == DAY
    assert (outcome.loaded.keeps_state, outcome.loaded.state) == (False, {})
    assert set(outcome.rows) == {"aware", "naive", "iso", "zulu", "day", "day_text", "frame", "table_of_texts"}
    # Hour 12 is the window's start, hour 36 its end.
    for table in outcome.rows:
        assert run_source.sink.rows(f"SELECT count(*), min(n), max(n) FROM raw.{table}") == [(24, 12, 35)], table


ORDERS = """
    from datetime import UTC, datetime

    def at(day, hour=0):
        return datetime(2026, 1, day, hour, tzinfo=UTC)

    ROUNDS = {{
        1: [(1, at(1)), (2, at(2)), (3, at(2))],
        # Order 3 again, a new one of the same instant, and a later one.
        2: [(1, at(1)), (2, at(2)), (3, at(2)), (4, at(2)), (5, at(3))],
        3: [(1, at(1)), (2, at(2)), (3, at(2)), (4, at(2)), (5, at(3))],
    }}

    @nilus.resource{decorator}
    def orders(run):
        for id, moment in ROUNDS[run]:
            yield {{"id": id, "at": {write}{more}}}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, run, **kwargs):
            return orders(run)
"""


def _code(write="moment", decorator="", more=""):
    return ORDERS.format(write=write, decorator=decorator, more=more)


SEEN = ', "seen": run'


def _rounds(runner, code, **options):
    """Run three rounds, each from the state the one before returned; return the outcomes."""
    state, outcomes = {}, []
    for run in (1, 2, 3):
        outcome = runner(code, options={"run": run}, state=state, run_id=f"manual__{run}", **options)
        state = outcome.loaded.state
        outcomes.append(outcome)
    return outcomes


def test_a_cursor_reads_only_what_is_new_and_loses_and_repeats_nothing_at_its_edge(run_duckdb):
    code = (
        ORDERS.partition("@nilus.resource")[0].format()
        + """
    WRITINGS = {
        "aware": lambda moment: moment,
        "naive": lambda moment: moment.replace(tzinfo=None),
        "text": lambda moment: moment.isoformat(),
        "day": lambda moment: moment.date(),
        "number": lambda moment: int(moment.timestamp()),
    }

    class Shop(CustomSource):
        def nilus_source(self, uri, table, run, **kwargs):
            for name, write in WRITINGS.items():
                rows = [{"id": id, "at": write(moment)} for id, moment in ROUNDS[run]]
                yield nilus.resource(rows, name=name)
"""
    )
    writings = ("aware", "day", "naive", "number", "text")
    outcomes = _rounds(run_duckdb, code, strategy="append", incremental_key="at")
    assert [outcome.loaded.reading for outcome in outcomes] == ["cursor"] * 3
    assert [outcome.rows for outcome in outcomes] == [dict.fromkeys(writings, 3), dict.fromkeys(writings, 2), {}]
    for table in writings:
        assert run_duckdb.sink.rows(f"SELECT id FROM raw.{table} ORDER BY id") == [(1,), (2,), (3,), (4,), (5,)], table
    assert outcomes[2].loaded.load_ids == []
    assert not outcomes[1].logged("WARNING")


def test_a_cursor_over_tables_does_the_same(run_source):
    code = """
        import pyarrow as pa
        from datetime import UTC, datetime

        ROUNDS = {1: [(1, 1), (2, 2), (3, 2)], 2: [(3, 2), (4, 2), (5, 3)], 3: [(4, 2), (5, 3)]}

        @nilus.resource(primary_key="id")
        def orders(run):
            yield pa.Table.from_pylist(
                [{"id": id, "at": datetime(2026, 1, day, tzinfo=UTC)} for id, day in ROUNDS[run]]
            )

        class Shop(CustomSource):
            def nilus_source(self, uri, table, run, **kwargs):
                return orders(run)
    """
    outcomes = _rounds(run_source, code, strategy="append", incremental_key="at")
    assert [outcome.rows for outcome in outcomes] == [{"orders": 3}, {"orders": 2}, {}]
    assert run_source.sink.rows("SELECT id FROM raw.orders ORDER BY id") == [(1,), (2,), (3,), (4,), (5,)]


def test_merging_reads_all_rows_of_the_cursor_s_value_again(run_source):
    outcomes = _rounds(run_source, _code(more=SEEN), strategy="merge", primary_key=["id"], incremental_key="at")
    # Of the third round only order 5 is at the cursor; 2 to 4 are behind it.
    assert [outcome.rows["orders"] for outcome in outcomes] == [3, 4, 1]
    expected = [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3)]
    assert run_source.sink.rows("SELECT id, seen FROM raw.orders ORDER BY id") == expected


def test_delete_insert_loses_no_row_of_the_cursor_s_value(run_duckdb):
    _rounds(run_duckdb, _code(more=SEEN), strategy="delete+insert", incremental_key="at")
    expected = [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3)]
    assert run_duckdb.sink.rows("SELECT id, seen FROM raw.orders ORDER BY id") == expected


def test_a_cursor_begins_where_interval_start_says(run_duckdb):
    options = {"strategy": "append", "incremental_key": "at", "interval_start": "2026-01-02"}
    outcomes = _rounds(run_duckdb, _code("moment.isoformat()"), **options)
    assert outcomes[0].loaded.reading == "cursor"
    assert run_duckdb.sink.rows("SELECT id FROM raw.orders ORDER BY id") == [(2,), (3,), (4,), (5,)]


def test_a_cursor_beside_replace_says_that_it_is_not_kept(run_duckdb):
    outcomes = _rounds(run_duckdb, _code(), incremental_key="at")
    assert outcomes[0].logged("WARNING", "'orders' has write disposition replace", "every run reads all rows")
    assert outcomes[2].rows == {"orders": 5}


def test_a_window_beside_replace_says_what_the_table_holds_afterwards(run_duckdb):
    outcome = run_duckdb(_code(), options={"run": 3}, incremental_key="at", interval=DAY)
    assert outcome.rows == {"orders": 3}
    assert outcome.logged("WARNING", "'orders' has write disposition replace", "rows of this window only")


def test_a_resource_that_replaces_by_its_own_word_is_read_whole(run_duckdb):
    code = _code(decorator='(write_disposition="replace")')
    outcome = run_duckdb(code, options={"run": 3}, strategy="append", incremental_key="at", interval=DAY)
    assert outcome.rows == {"orders": 5}
    assert outcome.logged("replaces its table by its own word")


OWN = """
    from datetime import UTC, datetime

    ROWS = [{"id": day, "at": datetime(2026, 1, day, tzinfo=UTC), "version": 10 - day} for day in range(1, 7)]

    @nilus.resource(write_disposition="append")
    def by_default(version=nilus.sources.incremental("version", initial_value=6)):
        yield ROWS

    @nilus.resource(write_disposition="append")
    def by_argument(cursor: nilus.sources.incremental[int] = None):
        yield ROWS

    @nilus.resource(write_disposition="append", incremental=nilus.sources.incremental("version", initial_value=6))
    def by_hint():
        yield ROWS

    @nilus.resource(write_disposition="append")
    def none_given(cursor: nilus.sources.incremental = None):
        assert cursor is not None and cursor.cursor_path == "at", cursor
        yield ROWS

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return by_default, by_argument(nilus.sources.incremental("version", initial_value=6)), by_hint, none_given
"""


@pytest.mark.parametrize("interval", [None, DAY], ids=["cursor", "window"])
def test_a_resource_keeps_its_own_incremental(run_duckdb, interval):
    outcome = run_duckdb(OWN, incremental_key="at", interval=interval)
    own = {"by_argument": 4, "by_default": 4, "by_hint": 4}
    assert outcome.rows == {**own, "none_given": 6 if interval is None else 1}
    for resource in own:
        assert outcome.logged(f"'{resource}' brings its own incremental"), resource
    if interval is None:
        cursors = outcome.loaded.state["shop"]["resources"]
        assert {name: list(value["incremental"]) for name, value in cursors.items()} == {
            **{name: ["version"] for name in own},
            "none_given": ["at"],
        }
        again = run_duckdb(OWN, incremental_key="at", state=outcome.loaded.state)
        assert again.rows == {}
    else:
        assert len(outcome.logged("WARNING", "this run keeps no state")) == 3


SCHEDULED = """
    from datetime import UTC, datetime
    ROWS = [{"id": day, "at": datetime(2026, 1, day, tzinfo=UTC)} for day in range(1, 7)]

    @nilus.resource(write_disposition="append")
    def orders(at=nilus.sources.incremental[datetime]("at", allow_external_schedulers=True)):
        yield ROWS

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            return orders
"""


def test_an_incremental_that_asks_the_scheduler_gets_the_run_s_interval(run_duckdb):
    environ = {"DLT_INTERVAL_START": "2020-01-01T00:00:00Z", "DLT_INTERVAL_END": "2020-01-02T00:00:00Z"}
    outcome = run_duckdb(SCHEDULED, interval=DAY, worker_env=environ)
    assert run_duckdb.sink.rows("SELECT id FROM raw.orders") == [(2,)]
    assert outcome.rows == {"orders": 1}


def test_an_incremental_that_asks_the_scheduler_where_there_is_no_interval_goes_by_its_state(run_duckdb):
    environ = {"DLT_INTERVAL_START": "2020-01-01T00:00:00Z", "DLT_INTERVAL_END": "2020-01-02T00:00:00Z"}
    first = run_duckdb(SCHEDULED, worker_env=environ)
    assert first.rows == {"orders": 6}
    assert run_duckdb(SCHEDULED, state=first.loaded.state).rows == {}


TRANSFORMER = """
    from datetime import UTC, datetime

    @nilus.resource(selected={selected})
    def days():
        yield [{{"day": day, "at": datetime(2026, 1, day, tzinfo=UTC)}} for day in range(1, 5)]

    @nilus.transformer(data_from=days)
    def orders(items):
        for item in items:
            yield {{"id": item["day"] * 10, **item}}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return days, orders
"""


@pytest.mark.parametrize(("selected", "rows"), [(True, {"days": 1, "orders": 1}), (False, {"orders": 1})])
def test_a_transformer_reads_the_window_itself_or_from_what_does(run_duckdb, selected, rows):
    code = TRANSFORMER.format(selected=selected)
    outcome = run_duckdb(code, strategy="append", incremental_key="at", interval=DAY)
    assert outcome.rows == rows
    assert run_duckdb.sink.rows("SELECT id FROM raw.orders") == [(20,)]


@pytest.mark.parametrize(
    ("write", "interval", "match"),
    [
        ("None", DAY, "Resource 'orders': a row has no value in 'at'"),
        ("int(moment.timestamp())", DAY, "Resource 'orders': incremental-key 'at' cannot be compared"),
        ("None", None, "Resource 'orders': a row has no value in 'at'"),
    ],
    ids=["None in a window", "numbers in a window", "None at a cursor"],
)
def test_a_key_that_cannot_be_compared_fails_with_resource_and_column(run_duckdb, write, interval, match):
    with pytest.raises(SourceError, match=match) as caught:
        run_duckdb(_code(write), options={"run": 1}, strategy="append", incremental_key="at", interval=interval)
    assert "'at'" in str(caught.value)
    assert "'id'" not in str(caught.value)
    assert not caught.value.retryable
    assert not run_duckdb.sink.exists("_dlt_loads")


def test_a_key_that_the_rows_lack_fails_with_its_name(run_duckdb):
    with pytest.raises(SourceError, match="Resource 'orders': a row has no 'changed'") as caught:
        run_duckdb(_code(), options={"run": 1}, strategy="append", incremental_key="changed")
    assert caught.value.found == "the columns id, at"


def test_a_cursor_whose_rows_change_their_type_fails_with_both_types(run_duckdb):
    first = run_duckdb(_code(), options={"run": 1}, strategy="append", incremental_key="at")
    with pytest.raises(SourceError, match="the values of 'at', its cursor, have no order") as caught:
        run_duckdb(
            _code("moment.isoformat()"),
            options={"run": 2},
            strategy="append",
            incremental_key="at",
            state=first.loaded.state,
        )
    assert caught.value.found.startswith("a text that is a point in time beside a point in time: ")


HOURS = """
    from datetime import UTC, datetime

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return nilus.resource(
                [{"n": n, "at": datetime(2026, 1, 2, n, tzinfo=UTC)} for n in range(24)], name="orders"
            )
"""
WINDOWED = {"strategy": "append", "incremental_key": "at", "interval": DAY}


def test_two_runs_of_one_interval_leave_the_rows_of_the_later_one(run_source):
    run_source(HOURS, run_id="scheduled", **WINDOWED)
    run_source(HOURS, run_id="by hand", **WINDOWED)
    assert run_source.sink.rows("SELECT count(*), count(DISTINCT n) FROM raw.orders") == [(24, 24)]


def test_a_cursor_does_not_begin_on_a_key_whose_runs_have_loaded_windows(run_duckdb):
    run_duckdb(HOURS, run_id="scheduled", **WINDOWED)
    with pytest.raises(StateError, match="would begin a cursor"):
        run_duckdb(HOURS, run_id="by hand", strategy="append", incremental_key="at", known_load_ids=[])
    assert run_duckdb.sink.rows("SELECT count(*) FROM raw.orders") == [(24,)]


def test_a_window_is_not_loaded_into_a_key_that_has_a_cursor(run_duckdb):
    first = run_duckdb(HOURS, run_id="first", strategy="append", incremental_key="at").loaded
    again = {"state": first.state, "known_load_ids": first.load_ids}
    with pytest.raises(StateError, match="would load a window"):
        run_duckdb(HOURS, run_id="with a date", **WINDOWED, **again)
    assert run_duckdb.sink.rows("SELECT count(*) FROM raw.orders") == [(24,)]


def test_a_retry_of_a_window_that_appends_on_a_rerun_replaces_what_the_try_before_loaded(run_duckdb):
    for try_number in (1, 2):
        run_duckdb(HOURS, run_id="r", try_number=try_number, on_rerun="append", **WINDOWED)
    assert run_duckdb.sink.rows("SELECT count(*) FROM raw.orders") == [(24,)]
    run_duckdb(HOURS, run_id="r", try_number=3, first_attempt=3, on_rerun="append", **WINDOWED)
    assert run_duckdb.sink.rows("SELECT count(*) FROM raw.orders") == [(48,)]
