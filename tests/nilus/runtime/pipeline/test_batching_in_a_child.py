"""Rows by column in a real run: the child process, the workflow's options, the journal, the next run."""

from __future__ import annotations

import pytest

SHOP = """
    from datetime import UTC, datetime
    from decimal import Decimal

    ROWS = [
        {"id": 1, "Name": "", "tags": {"y", "x"}, "at": "2026-01-01T10:00:00Z", "price": Decimal("1.5"), "o": [{}]},
        {"id": 2, "Name": None, "at": "2026-01-02T10:00:00+02:00", "price": Decimal("2"), "late": 1.5},
        {"id": 3, "Name": "c", "at": "2026-01-03 10:00:00", "price": 3, "late": 2},
    ]

    @nilus.resource
    def orders():
        state = nilus.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield from ROWS

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return orders
"""
CONTENT = 'SELECT * EXCLUDE (_dlt_id, _dlt_load_id) FROM raw.orders ORDER BY id, "at"'


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "append"},
        {"strategy": "append", "type_hints": {"id": "text"}, "mask": {"Name": "hash"}},
        {"strategy": "merge", "primary_key": ["id"], "incremental_key": "id"},
        {"strategy": "append", "page_size": 2, "loader_file_size": 2},
    ],
    ids=["append", "hints and masks", "merge by a cursor", "small pages"],
)
def test_two_runs_by_column_leave_what_two_runs_one_by_one_leave(options, run_duckdb):
    found = []
    for batching in ("auto", "off"):
        first = run_duckdb(SHOP, batching=batching, state_key=f"shop.{batching}", **options)
        second = run_duckdb(SHOP, batching=batching, state_key=f"shop.{batching}", state=first.loaded.state, **options)
        columns = run_duckdb.sink.rows(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'orders' "
            "ORDER BY ordinal_position"
        )
        found.append((columns, run_duckdb.sink.rows(CONTENT), first.rows, second.rows, second.loaded.state))
        run_duckdb.sink.execute("DROP SCHEMA raw CASCADE")
        run_duckdb.known.clear()
    assert found[0] == found[1]
    assert len(found[0][1]) in (3, 6)


def test_rows_by_column_carry_the_load_id_the_journal_knows(run_duckdb):
    loaded = run_duckdb(SHOP, strategy="append").loaded
    assert run_duckdb.sink.rows("SELECT DISTINCT _dlt_load_id FROM raw.orders") == [(loaded.load_ids[0],)]
    assert run_duckdb.sink.rows("SELECT count(DISTINCT _dlt_id) FROM raw.orders") == [(3,)]


def test_the_log_says_once_why_rows_are_taken_one_by_one(run_duckdb):
    changing = SHOP.replace('"late": 2},', '"late": 2}, {"id": "seven"},')
    outcome = run_duckdb(changing, strategy="append")
    assert len(outcome.logged("rows are normalized one by one", "orders")) == 1
    assert outcome.rows == {"orders": 4}
