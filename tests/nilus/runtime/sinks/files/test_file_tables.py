"""What is in the files: every format, every disposition, nested tables, frames, changes of the schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from nilus.errors import NilusError, SourceError

DELTA = "?table_format=delta"
ORDERS = """
    import os
    from datetime import datetime, timezone
    from decimal import Decimal

    @nilus.resource(write_disposition="{disposition}", primary_key="id")
    def orders():
        state = nilus.current.resource_state()
        last = state.get("last", 0)
        for number in range(last + 1, last + {count} + 1):
            yield {{
                "id": number,
                "name": f"näme, \\"{{number}}\\"\\nline",
                "price": Decimal("12.50"),
                "share": 0.25,
                "paid": number % 2 == 0,
                "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
                "items": [{{"sku": "a", "sizes": [1, 2]}}],
                {extra}
            }}
        state["last"] = last + {count}

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            return orders()
"""


def orders(disposition="append", count=3, extra=""):
    return ORDERS.format(disposition=disposition, count=count, extra=extra)


@pytest.mark.parametrize(
    ("place", "loader_file_format"), [("file", None), ("file", "jsonl"), ("file", "csv"), ("s3", None)]
)
def test_two_runs_append_their_rows_in_the_format_asked_for(place, loader_file_format, make_runner):
    run = make_runner(place)
    first = run(orders(), loader_file_format=loader_file_format)
    second = run(orders(count=2), loader_file_format=loader_file_format)
    assert (first.dataset, first.destination) == ("raw", "filesystem")
    suffix = loader_file_format or "parquet"
    names = [path.split("/")[-1] for path in run.lake.table_files("orders")]
    assert sorted(".".join(name.split(".")[:2]) for name in names) == [*first.load_ids, *second.load_ids]
    assert {name.rpartition(".")[2] for name in names} == {suffix}
    rows = sorted(run.lake.rows("orders"), key=lambda row: row["id"])
    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[4]["name"] == 'näme, "5"\nline'
    assert [str(row["_dlt_load_id"]) for row in rows] == [first.load_ids[0]] * 3 + [second.load_ids[0]] * 2
    assert [row["paid"] for row in rows] == [False, True, False, True, False]
    assert rows[0]["share"] == 0.25
    if suffix == "parquet":
        assert rows[0]["price"] == Decimal("12.50")
        assert rows[0]["at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert json.loads(rows[0]["items"]) == [{"sku": "a", "sizes": [1, 2]}]
        run.lake.assert_settled()


def test_child_tables_are_folders_of_their_own_and_carry_the_load_id(run):
    loaded = run(orders(), max_table_nesting=2)
    assert run.lake.tables() == ["orders", "orders__items", "orders__items__sizes"]
    assert {name: table["rows"] for name, table in loaded.tables.items()} == {
        "orders": 3,
        "orders__items": 3,
        "orders__items__sizes": 6,
    }
    for table in run.lake.tables():
        assert set(run.lake.read(table).column("_dlt_load_id").to_pylist()) == set(loaded.load_ids)


BYTES = """
    def orders():
        yield {"id": 1, "secret": b"\\x00\\xff"}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return [nilus.resource([{"id": 1}], name="others"), nilus.resource(orders, name="orders")]
"""


def test_bytes_in_csv_are_refused_and_the_table_that_has_them_is_named(make_runner):
    run = make_runner("file")
    with pytest.raises(SourceError, match=r"rows of table 'orders' cannot be normalized: .*'secret' contains bytes"):
        run(BYTES, loader_file_format="csv")
    assert run.lake.tables() == []


NESTED = """
    import pyarrow

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            rows = pyarrow.table({"id": [1, 2], "items": [[{"sku": "a"}], None], "of": [{"b": 1}, {"b": 2}]})
            return nilus.resource([rows], name="orders")
"""


def test_nested_columns_of_tables_are_json_in_csv(make_runner):
    run = make_runner("file")
    run(NESTED, loader_file_format="csv")
    rows = sorted(run.lake.rows("orders"), key=lambda row: row["id"])
    assert [(row["items"], row["of"]) for row in rows] == [('[{"sku":"a"}]', '{"b":1}'), ("", '{"b":2}')]


FRAMES = """
    import pandas, pyarrow

    def frames():
        yield pandas.DataFrame({"id": [1, 2]})
        yield pyarrow.table({"id": [3]})
        yield pyarrow.RecordBatch.from_pydict({"id": [4]})

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return nilus.resource(frames, name="orders", write_disposition="append")
"""


@pytest.mark.parametrize("query", ["", pytest.param(DELTA, marks=pytest.mark.soak)])
def test_rows_of_frames_carry_the_load_id(query, make_runner):
    run = make_runner(query=query)
    loaded = run(FRAMES)
    assert sorted((row["id"], row["_dlt_load_id"]) for row in run.lake.rows("orders")) == [
        (number, loaded.load_ids[0]) for number in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize("query", [pytest.param("", marks=pytest.mark.soak), DELTA])
def test_without_credentials_the_worker_s_own_are_used(query, make_runner):
    run = make_runner("s3", query)
    server = run.lake.server
    loaded = run(FRAMES, credentials={"endpoint_url": server.endpoint}, env=server.environ)
    assert run.lake.read("orders").num_rows == loaded.tables["orders"]["rows"] == 4


def test_a_new_column_is_in_the_files_from_then_on_and_another_type_beside_the_old_column(run):
    run(orders(count=1))
    run(orders(count=1, extra='"city": "Łódź",'))
    run(orders(count=1, extra='"city": 3.5,'))
    rows = sorted(run.lake.rows("orders"), key=lambda row: row["id"])
    assert [row["city"] for row in rows] == [None, "Łódź", "3.5"]


@pytest.mark.parametrize(
    ("place", "query"),
    [("file", ""), ("file", DELTA), *(pytest.param("s3", query, marks=pytest.mark.soak) for query in ("", DELTA))],
)
def test_replaced_tables_hold_the_rows_of_the_last_run_child_tables_included(place, query, make_runner):
    run = make_runner(place, query)
    run(orders("replace", count=4), max_table_nesting=1)
    assert len(run.lake.rows("orders")) == len(run.lake.rows("orders__items")) == 4
    second = run(orders("replace", count=2), max_table_nesting=1)
    for table in ("orders", "orders__items"):
        assert set(run.lake.read(table).column("_dlt_load_id").to_pylist()) == set(second.load_ids)
        assert len(run.lake.rows(table)) == 2
    run.lake.assert_settled()


def test_a_replaced_table_that_gets_no_rows_is_emptied(run):
    run(orders("replace", count=4))
    loaded = run(orders("replace", count=0), state={})
    assert run.lake.rows("orders") == []
    assert [path.split("/")[-1].startswith(loaded.load_ids[0]) for path in run.lake.table_files("orders")] == [True]
    run.lake.assert_settled()


def test_a_load_that_dies_leaves_a_replaced_table_as_it_was(run):
    run(orders("replace", count=4))
    with pytest.raises(NilusError, match="signal 9"):
        run(orders("replace", count=2), kill_at="before_complete", run_id="b")
    assert [row["id"] for row in run.lake.rows("orders")] == [1, 2, 3, 4]
    run(orders("replace", count=2), run_id="b", try_number=2)
    assert [row["id"] for row in run.lake.rows("orders")] == [1, 2]
    run.lake.assert_settled()


def test_what_a_dead_process_left_of_replacing_is_finished_by_the_next_run_without_extracting_again(run):
    run(orders("replace", count=4))
    with pytest.raises(NilusError, match="signal 9"):
        run(orders("replace", count=2), kill_at="replacement_moved", run_id="b")
    again = run(orders("replace", count=3), run_id="b", try_number=2)
    assert again.tables["orders"]["rows"] == 2, "the load had landed; its rows count"
    assert [row["id"] for row in run.lake.rows("orders")] == [1, 2]
    run.lake.assert_settled()


def test_a_full_refresh_leaves_nothing_of_what_was_there(run):
    run(orders(count=4))
    loaded = run(orders(count=2), full_refresh=True)
    assert [row["id"] for row in run.lake.rows("orders")] == [1, 2]
    assert set(run.lake.read("orders").column("_dlt_load_id").to_pylist()) == set(loaded.load_ids)
    run.lake.assert_settled()


def test_merge_into_delta_replaces_rows_of_the_same_key(make_runner):
    run = make_runner(query=DELTA)
    run(orders("merge", count=3), max_table_nesting=0)
    run(orders("merge", count=3, extra='"city": "Oslo",'), state={})
    rows = sorted(run.lake.rows("orders"), key=lambda row: row["id"])
    assert [(row["id"], row["city"]) for row in rows] == [(1, "Oslo"), (2, "Oslo"), (3, "Oslo")]


def test_the_journal_traces_a_file_to_its_run_and_commit(run):
    loaded = run(orders())
    (entry,) = run.lake.journal()
    assert (entry["load_id"], entry["run_id"], entry["commit"], entry["source"]) == (
        loaded.load_ids[0],
        "manual__1",
        "c0ffee" + "0" * 34,
        "shop.py:Shop",
    )
    assert entry["load_id"] in run.lake.table_files("orders")[0]


def test_a_load_is_split_into_files_of_the_size_asked_for(run):
    run(orders(count=10), loader_file_size=4, page_size=2, batching="off")
    assert len(run.lake.table_files("orders")) > 1
    assert len(run.lake.rows("orders")) == 10
