"""The state a run starts from and gives back."""

from __future__ import annotations

import json

import pytest

from nilus.errors import SourceError

KEEPS = """
    import decimal, datetime

    TYPED = {
        "moment": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC),
        "day": datetime.date(2026, 1, 2),
        "time": datetime.time(3, 4, 5),
        "price": decimal.Decimal("12.50"),
        "blob": b"\\x00\\xff",
        "text": "schön",
        "number": 3,
        "nothing": None,
        "nested": {"list": [1, {"deep": decimal.Decimal("0.1")}]},
    }

    @nilus.resource(write_disposition="append")
    def orders():
        state = nilus.current.resource_state()
        before = dict(state)
        state.update(TYPED)
        state["runs"] = before.get("runs", 0) + 1
        nilus.current.source_state()["shared"] = "x"
        kinds = {name: type(before[name]).__name__ for name in TYPED if name in before}
        equal = all(before.get(name) == value for name, value in TYPED.items())
        yield {"runs": state["runs"], "equal": equal, "kinds": kinds}

    class Shop(CustomSource):
        HANDLES = True

        def handles_incrementality(self):
            return self.HANDLES

        def nilus_source(self, uri, table, **kwargs):
            return orders
"""


def _last(runner):
    return runner.sink.rows("SELECT runs, equal, kinds FROM raw.orders ORDER BY _dlt_load_id DESC LIMIT 1")[0]


def test_state_is_plain_json_and_its_types_survive_into_the_next_run(run_source):
    first = run_source(KEEPS)
    assert (first.loaded.reading, first.loaded.keeps_state) == ("self-managed", True)
    assert first.loaded.state["shop"]["shared"] == "x"
    kept = json.loads(json.dumps(first.loaded.state))
    run_source(KEEPS, state=kept)
    runs, equal, kinds = _last(run_source)
    assert (runs, equal) == (2, True)
    kinds = json.loads(kinds) if isinstance(kinds, str) else kinds
    assert kinds["moment"] in ("datetime", "DateTime")
    assert (kinds["day"] in ("date", "Date"), kinds["price"], kinds["time"] in ("time", "Time")) == (
        True,
        "Decimal",
        True,
    )


def test_the_state_a_run_is_given_wins_over_what_the_sink_holds(run_source):
    for _ in range(2):
        state = run_source(KEEPS).loaded.state  # both times nothing is given
    assert state["shop"]["resources"]["orders"]["runs"] == 1
    given = {"shop": {"resources": {"orders": {"runs": 7}}}}
    assert run_source(KEEPS, state=given).loaded.state["shop"]["resources"]["orders"]["runs"] == 8
    assert run_source(KEEPS, state=given).loaded.state["shop"]["resources"]["orders"]["runs"] == 8
    assert _last(run_source)[0] == 8


def test_a_full_run_starts_from_nothing_keeps_nothing_and_says_what_is_lost(run_duckdb):
    code = KEEPS.replace("HANDLES = True", "HANDLES = False")
    given = {"shop": {"resources": {"orders": {"runs": 7}}}}
    for _ in range(2):
        outcome = run_duckdb(code, state=given)
        assert (outcome.loaded.reading, outcome.loaded.keeps_state, outcome.loaded.state) == ("full", False, {})
        assert _last(run_duckdb)[0] == 1
        (line,) = outcome.logged("WARNING", "State:")
        assert "resource 'orders', source 'shop' wrote state" in line
        assert "handles_incrementality()" in line


def test_a_run_that_writes_no_state_says_nothing_of_it(run_duckdb):
    code = """
        class Shop(CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return nilus.resource(lambda: [{"id": 1}], name="orders")
    """
    assert not run_duckdb(code).logged("State:")


def test_resources_that_are_not_selected_keep_their_state(run_duckdb):
    code = """
        def count(name):
            state = nilus.current.resource_state()
            state["runs"] = state.get("runs", 0) + 1
            yield {"name": name, "runs": state["runs"]}

        class Shop(CustomSource):
            def handles_incrementality(self):
                return True

            def nilus_source(self, uri, table, **kwargs):
                for name in ("one", "two"):
                    yield nilus.resource(lambda name=name: count(name), name=name, write_disposition="append")
    """
    first = run_duckdb(code)
    second = run_duckdb(code, state=first.loaded.state, resources=["two"])
    kept = second.loaded.state["shop"]["resources"]
    assert kept == {"one": {"runs": 1}, "two": {"runs": 2}}


def test_a_resource_that_replaces_its_table_says_that_its_state_is_reset(run_duckdb):
    code = KEEPS.replace('write_disposition="append"', 'write_disposition="replace"')
    first = run_duckdb(code)
    assert not first.logged("resets its state")
    second = run_duckdb(code, state=first.loaded.state)
    assert second.logged("WARNING", "'orders'", "dlt resets its state")
    assert second.loaded.state["shop"]["resources"]["orders"]["runs"] == 1


def test_state_that_is_no_json_fails_the_run_with_its_type(run_duckdb):
    code = KEEPS.replace('"number": 3,', '"number": object(),')
    with pytest.raises(SourceError, match="object") as caught:
        run_duckdb(code)
    assert "state" in str(caught.value)
    assert not caught.value.retryable


NOTHING = """
    @nilus.resource(write_disposition="append")
    def orders(rows):
        if rows:
            nilus.current.resource_state()["last"] = rows
        yield from ({"id": n} for n in range(rows))

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, rows, **kwargs):
            return orders(rows)
"""


def test_a_run_without_rows_and_without_a_change_of_state_writes_nothing(run_source):
    untouched = run_source(NOTHING, options={"rows": 0})
    assert (untouched.loaded.load_ids, untouched.rows) == ([], {})
    assert untouched.logged("Nothing new")
    assert not run_source.sink.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = 'raw'")

    first = run_source(NOTHING, options={"rows": 2})
    again = run_source(NOTHING, options={"rows": 0}, state=first.loaded.state)
    assert again.loaded.load_ids == []
    assert again.loaded.state == first.loaded.state
    loads = run_source.sink.rows("SELECT load_id FROM raw._dlt_loads")
    assert loads == run_source.sink.rows("SELECT load_id FROM raw._airflow_loads") == [(first.loaded.load_ids[0],)]


def test_a_change_of_state_alone_is_loaded(run_source):
    code = NOTHING.replace("if rows:\n            nilus", "nilus")
    first = run_source(code.replace('["last"] = rows', '["last"] = 1'), options={"rows": 0})
    assert first.loaded.tables == {}
    assert len(first.loaded.load_ids) == 1
    again = run_source(code.replace('["last"] = rows', '["last"] = 1'), options={"rows": 0}, state=first.loaded.state)
    assert again.loaded.load_ids == []


REFRESHED = """
    def count(name):
        state = nilus.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield {"runs": state["runs"], **({"extra": 1} if state["runs"] == 1 else {})}

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            for name in ("one", "two"):
                yield nilus.resource(lambda name=name: count(name), name=name, write_disposition="append")
"""


def test_a_full_refresh_drops_tables_and_state_of_the_selected_resources_only(run_source):
    state = run_source(REFRESHED).loaded.state
    state = run_source(REFRESHED, state=state).loaded.state
    assert run_source.sink.tables() == {"one": 2, "two": 2}
    refreshed = run_source(REFRESHED, state=state, full_refresh=True, resources=["two"])
    assert refreshed.loaded.state["shop"]["resources"] == {"one": {"runs": 2}, "two": {"runs": 1}}
    assert run_source.sink.tables() == {"one": 2, "two": 1}
    everything = run_source(REFRESHED, state=refreshed.loaded.state, full_refresh=True)
    assert everything.loaded.state["shop"]["resources"] == {"one": {"runs": 1}, "two": {"runs": 1}}
    assert run_source.sink.tables() == {"one": 1, "two": 1}


def test_a_full_refresh_forgets_the_state_even_where_the_sink_knows_nothing_of_it(run_duckdb):
    given = {"shop": {"shared": 1, "resources": {"one": {"runs": 5}, "two": {"runs": 5}}}}
    state = run_duckdb(REFRESHED, state=given, full_refresh=True).loaded.state
    assert state["shop"] == {"resources": {"one": {"runs": 1}, "two": {"runs": 1}}}


def test_a_full_refresh_under_another_key_drops_the_tables_all_the_same(run_duckdb):
    run_duckdb(REFRESHED)
    run_duckdb(REFRESHED, state_key="renamed.load", full_refresh=True)
    assert run_duckdb.sink.tables() == {"one": 1, "two": 1}


RENAMED = """
    @nilus.resource(write_disposition="append")
    def orders():
        state = nilus.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield {"runs": state["runs"]}

    @nilus.source(name="SOURCE")
    def source():
        return orders

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            return source()
"""


def test_a_renamed_source_begins_anew_and_one_that_gets_its_name_back_goes_on(run_source):
    state, loads = {}, []
    for name in ("one", "two", "two", "one"):
        loaded = run_source(RENAMED.replace("SOURCE", name), state=state, known_load_ids=loads).loaded
        state, loads = loaded.state, [*loads, *loaded.load_ids]
    assert state == {name: {"resources": {"orders": {"runs": 2}}} for name in ("one", "two")}
    assert run_source.sink.rows("SELECT runs FROM raw.orders ORDER BY _dlt_load_id") == [(1,), (1,), (2,), (2,)]
