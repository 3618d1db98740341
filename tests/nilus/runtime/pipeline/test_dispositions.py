"""How rows are written: what a resource says stands, the workflow's strategy is for those that say nothing."""

from __future__ import annotations

import pytest

from nilus.errors import WorkflowError

# Two rows, then a changed and a new one: `run` counts up in the source's options.
ORDERS = """
    ROUNDS = {
        1: [{"id": 1, "day": 1, "v": "a"}, {"id": 2, "day": 1, "v": "b"}],
        2: [{"id": 2, "day": 2, "v": "B"}, {"id": 3, "day": 2, "v": "c"}],
    }

    @nilus.resource
    def orders(run):
        yield ROUNDS[run]

    class Shop(CustomSource):
        def nilus_source(self, uri, table, run, **kwargs):
            return orders(run)
"""
BOTH = """
    @nilus.resource(write_disposition="replace")
    def snapshot(run):
        yield {"run": run}

    @nilus.resource(write_disposition="append")
    def log(run):
        yield {"run": run}

    @nilus.resource
    def silent(run):
        yield {"run": run}

    @nilus.source
    def shop(run):
        return snapshot(run), log(run), silent(run)

    class Shop(CustomSource):
        HANDLES = False

        def handles_incrementality(self):
            return self.HANDLES

        def nilus_source(self, uri, table, run, **kwargs):
            return shop(run)
"""


def _twice(run_source, code, **options):
    outcome = None
    for run in (1, 2):
        outcome = run_source(code, options={"run": run}, run_id=f"manual__{run}", **options)
    return outcome


def _dispositions(outcome):
    return {name: table["write_disposition"] for name, table in outcome.loaded.tables.items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(2, "B"), (3, "c")]),
        ({"strategy": "replace"}, [(2, "B"), (3, "c")]),
        ({"strategy": "append"}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")]),
        ({"strategy": "merge", "primary_key": ["id"]}, [(1, "a"), (2, "B"), (3, "c")]),
        ({"strategy": "none"}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_strategy_writes_what_it_says(run_source, options, expected):
    _twice(run_source, ORDERS, **options)
    assert run_source.sink.rows('SELECT id, v FROM raw.orders ORDER BY id, v COLLATE "C"') == expected


def test_delete_insert_replaces_the_rows_of_the_key_s_values(run_source):
    code = ORDERS.replace('2: [{"id": 2, "day": 2', '2: [{"id": 9, "day": 1').replace(
        '"id": 3, "day": 2', '"id": 3, "day": 5'
    )
    _twice(run_source, code, strategy="delete+insert", incremental_key="day")
    # The cursor stands at day 1, and every row of that day has come anew.
    assert run_source.sink.rows("SELECT id, day FROM raw.orders ORDER BY id") == [(3, 5), (9, 1)]


def test_scd2_keeps_the_history_of_each_row(run_source):
    outcome = _twice(run_source, ORDERS, strategy="scd2")
    rows = run_source.sink.rows('SELECT id, v, _dlt_valid_to IS NULL FROM raw.orders ORDER BY id, v COLLATE "C"')
    assert rows == [(1, "a", False), (2, "B", True), (2, "b", False), (3, "c", True)]
    assert _dispositions(outcome) == {"orders": "merge"}


def test_scd2_of_a_part_of_the_rows_retires_only_what_came_anew(run_duckdb):
    _twice(run_duckdb, ORDERS, strategy="scd2", incremental_key="day", primary_key=["id"])
    rows = run_duckdb.sink.rows("SELECT id, v, _dlt_valid_to IS NULL FROM raw.orders ORDER BY id, v")
    assert rows == [(1, "a", True), (2, "B", True), (2, "b", False), (3, "c", True)]


def test_a_resource_s_own_disposition_stands_beside_any_strategy(run_source):
    outcome = _twice(run_source, BOTH, strategy="merge", primary_key=["run"])
    assert _dispositions(outcome) == {"log": "append", "silent": "merge", "snapshot": "replace"}
    assert run_source.sink.tables() == {"log": 2, "silent": 2, "snapshot": 1}


def test_a_source_that_handles_incrementality_has_no_strategy_but_its_resources_own(run_duckdb):
    code = BOTH.replace("HANDLES = False", "HANDLES = True")
    outcome = _twice(run_duckdb, code, strategy="replace", incremental_key="run")
    assert _dispositions(outcome) == {"log": "append", "silent": "append", "snapshot": "replace"}
    assert run_duckdb.sink.tables() == {"log": 2, "silent": 2, "snapshot": 1}
    assert outcome.logged("WARNING", "incremental-key", "ignored")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strategy": "merge"}, "primary-key"),
        ({"strategy": "delete+insert"}, "incremental-key"),
        ({"strategy": "scd2", "incremental_key": "day"}, "primary-key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_strategy_without_the_key_it_needs_is_refused_before_anything_is_read(run_duckdb, options, words):
    marker = run_duckdb.folder / "was-read"
    code = ORDERS.replace("yield ROUNDS[run]", f"open({str(marker)!r}, 'w'); yield ROUNDS[run]")
    with pytest.raises(WorkflowError, match=words) as caught:
        run_duckdb(code, options={"run": 1}, **options)
    assert not caught.value.retryable
    assert not marker.exists()
    assert not run_duckdb.sink.exists("_dlt_loads")


def test_a_key_of_the_resource_s_own_is_enough_to_merge(run_duckdb):
    code = ORDERS.replace("@nilus.resource", '@nilus.resource(columns={"id": {"primary_key": True}})')
    _twice(run_duckdb, code, strategy="merge")
    assert run_duckdb.sink.rows("SELECT id, v FROM raw.orders ORDER BY id") == [(1, "a"), (2, "B"), (3, "c")]


def test_a_resource_s_own_key_is_not_replaced_by_the_workflow_s(run_duckdb):
    code = ORDERS.replace("@nilus.resource", '@nilus.resource(primary_key="id")')
    _twice(run_duckdb, code, strategy="merge", primary_key=["day"])
    assert run_duckdb.sink.rows("SELECT id, v FROM raw.orders ORDER BY id") == [(1, "a"), (2, "B"), (3, "c")]


def test_a_resource_that_merges_without_a_key_says_that_it_appends(run_duckdb):
    code = ORDERS.replace("@nilus.resource", '@nilus.resource(write_disposition="merge")')
    outcome = _twice(run_duckdb, code)
    assert outcome.logged("WARNING", "'orders' merges but has no key")


def test_a_table_that_is_replaced_by_nothing_is_empty_and_counted(run_source):
    run_source(ORDERS, options={"run": 1})
    outcome = run_source(ORDERS.replace("yield ROUNDS[run]", "yield from ()"), options={"run": 2})
    (replaced,) = outcome.loaded.tables.values()
    assert (replaced["rows"], replaced["write_disposition"]) == (0, "replace")
    assert run_source.sink.tables() == {"orders": 0}
