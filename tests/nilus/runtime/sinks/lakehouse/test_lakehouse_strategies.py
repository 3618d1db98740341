"""What each way of writing leaves in an Iceberg table, after one run and after the next."""

from __future__ import annotations

import pytest

from nilus.errors import DestinationError, SourceError, WorkflowError

FIRST = "[{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}]"
SECOND = "[{'id': 2, 'name': 'B'}, {'id': 3, 'name': 'c'}]"


@pytest.mark.parametrize(
    ("strategy", "options", "expected"),
    [
        ("append", {}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")]),
        ("replace", {}, [(2, "B"), (3, "c")]),
        ("merge", {"primary_key": ["id"]}, [(1, "a"), (2, "B"), (3, "c")]),
        ("delete+insert", {"incremental_key": "id"}, [(1, "a"), (2, "B"), (3, "c")]),
    ],
)
def test_each_strategy_leaves_what_it_says_in_one_snapshot_a_run(strategy, options, expected, lake, rows):
    lake.run(rows(FIRST), strategy=strategy, **options)
    assert lake.rows("orders", "id", "name") == [(1, "a"), (2, "b")]
    lake.run(rows(SECOND), strategy=strategy, **options)
    assert sorted(lake.rows("orders", "id", "name")) == sorted(expected)
    assert len(lake.summaries("orders")) == 2


def test_full_refresh_leaves_only_what_the_run_brought_and_forgets_old_columns(lake, rows):
    lake.run(rows("[{'id': 1, 'old': 'x'}]"), strategy="append")
    lake.run(rows("[{'id': 2, 'new': 'y'}]"), strategy="append", full_refresh=True)
    assert lake.rows("orders", "id", "new") == [(2, "y")]
    assert "old" not in lake.table("orders").schema().column_names


def test_scd2_is_refused_before_anything_is_extracted(lake, rows, tmp_path):
    touched = tmp_path / "extracted"
    with pytest.raises(WorkflowError, match="scd2"):
        lake.run(rows(f"[open({str(touched)!r}, 'w').close() or {{'id': 1}}]"), strategy="scd2")
    assert not touched.exists()


def test_a_merge_with_conditions_in_sql_is_refused_and_nothing_is_loaded(lake, rows):
    merge = {"disposition": "merge", "strategy": "upsert", "source_filter": "{staging_table}.id > 1"}
    with pytest.raises(DestinationError, match="source_filter"):
        lake.run(rows(FIRST, write_disposition=merge, primary_key="id"))
    assert lake.tables().get("orders", 0) == 0


def test_a_merge_keeps_one_of_several_rows_of_a_key_and_of_those_in_one_file_the_last(lake, rows):
    code = rows("[{'id': 1, 'n': n} for n in range(200)] + [{'id': 2, 'n': 7}]")
    lake.run(code, strategy="merge", primary_key=["id"], loader_file_size=10)
    assert [key for (key,) in lake.rows("orders", "id")] == [1, 2]
    lake.run(code, strategy="merge", primary_key=["id"])
    assert lake.rows("orders", "id", "n") == [(1, 199), (2, 7)]


@pytest.mark.parametrize(("direction", "kept"), [("desc", 9), ("asc", 1)])
def test_dedup_sort_says_which_row_of_a_key_stays_and_null_never_does(direction, kept, lake, rows):
    code = rows(
        "[{'id': 1, 'n': 5}, {'id': 1, 'n': 9}, {'id': 1, 'n': None}, {'id': 1, 'n': 1}, {'id': 1, 'n': 3}]",
        write_disposition="merge",
        primary_key="id",
        columns={"n": {"dedup_sort": direction, "data_type": "bigint"}},
    )
    lake.run(code, loader_file_size=2)
    assert lake.rows("orders", "id", "n") == [(1, kept)]


def test_hard_delete_removes_rows_and_puts_none_in(lake, rows):
    hints = {
        "write_disposition": "merge",
        "primary_key": "id",
        "columns": {"gone": {"hard_delete": True, "data_type": "bool"}},
    }
    lake.run(rows("[{'id': n, 'gone': None} for n in range(4)]", **hints))
    lake.run(rows("[{'id': 1, 'gone': True}, {'id': 2, 'gone': False}, {'id': 9, 'gone': True}]", **hints))
    assert [key for (key,) in lake.rows("orders", "id")] == [0, 2, 3]


def test_a_key_of_two_columns_merges_only_where_both_are_equal(lake, rows):
    options = {"strategy": "merge", "primary_key": ["a", "b"]}
    lake.run(rows("[{'a': 1, 'b': 'x', 'v': 1}, {'a': 1, 'b': 'y', 'v': 1}]"), **options)
    lake.run(rows("[{'a': 1, 'b': 'x', 'v': 2}, {'a': 2, 'b': 'y', 'v': 2}]"), **options)
    assert lake.rows("orders", "a", "b", "v") == [(1, "x", 2), (1, "y", 1), (2, "y", 2)]


def test_delete_insert_takes_out_whole_days(lake, rows):
    lake.run(
        rows("[{'day': '2024-01-0%d' % d, 'n': n} for d in (1, 2) for n in range(3)]"),
        strategy="delete+insert",
        incremental_key="day",
    )
    lake.run(rows("[{'day': '2024-01-02', 'n': 9}]"), strategy="delete+insert", incremental_key="day")
    assert lake.rows("orders", "day", "n") == [
        ("2024-01-01", 0),
        ("2024-01-01", 1),
        ("2024-01-01", 2),
        ("2024-01-02", 9),
    ]


def test_insert_only_leaves_rows_alone_that_are_there(lake, rows):
    hints = {"write_disposition": {"disposition": "merge", "strategy": "insert-only"}, "primary_key": "id"}
    lake.run(rows(FIRST, **hints))
    lake.run(rows(SECOND, **hints))
    assert lake.rows("orders", "id", "name") == [(1, "a"), (2, "b"), (3, "c")]


def test_child_tables_follow_the_rows_they_belong_to(lake, rows):
    options = {"strategy": "merge", "primary_key": ["id"], "max_table_nesting": 1}
    lake.run(rows("[{'id': n, 'tags': [{'t': f'{n}a'}, {'t': f'{n}b'}]} for n in range(3)]"), **options)
    lake.run(rows("[{'id': 1, 'tags': [{'t': 'new'}]}, {'id': 2, 'tags': []}, {'id': 2, 'tags': []}]"), **options)
    assert lake.rows("orders__tags", "t") == [("0a",), ("0b",), ("new",)]
    assert len(lake.summaries("orders")) == len(lake.summaries("orders__tags")) == 2


def test_child_tables_of_a_replaced_table_are_replaced_also_when_they_get_no_rows(lake, rows):
    lake.run(rows("[{'id': 1, 'tags': [{'t': 'a'}]}]"), strategy="replace", max_table_nesting=1)
    lake.run(rows("[{'id': 2, 'tags': []}]"), strategy="replace", max_table_nesting=1)
    assert lake.tables() == {"orders": 1, "orders__tags": 0}


def test_a_replaced_table_without_new_rows_is_emptied(lake, rows):
    lake.run(rows(FIRST), strategy="replace")
    lake.run(rows("[]"), strategy="replace")
    assert lake.tables() == {"orders": 0}


def test_a_load_of_many_files_is_one_snapshot(lake, rows):
    lake.run(rows("[{'id': n} for n in range(1000)]"), strategy="append", loader_file_size=100)
    assert len(lake.summaries("orders")) == 1
    assert [key for (key,) in sorted(lake.rows("orders", "id"))] == list(range(1000))


def test_a_merge_of_many_rows_reads_and_rewrites_only_files_that_may_have_them(lake, rows):
    for start in (0, 10_000, 20_000):
        lake.run(rows(f"[{{'id': n, 'v': 0}} for n in range({start}, {start + 10_000})]"), strategy="append")
    before = set(lake.files("orders"))
    lake.run(rows("[{'id': n, 'v': 1} for n in range(12_000, 15_000)]"), strategy="merge", primary_key=["id"])
    assert lake.query("SELECT count(*), sum(v), count(DISTINCT id) FROM raw.orders") == [(30_000, 3_000, 30_000)]
    assert len(before & set(lake.files("orders"))) == 2


def test_a_failed_replace_leaves_the_old_rows_whole(lake, rows):
    lake.run(rows(FIRST), strategy="replace")
    with pytest.raises(SourceError):
        lake.run(rows("[{'id': 7}, 1 / 0]"), strategy="replace")
    assert lake.rows("orders", "id", "name") == [(1, "a"), (2, "b")]


def test_a_table_that_somebody_dropped_is_made_anew(lake, rows):
    lake.run(rows(FIRST), strategy="append")
    lake.catalog.drop_table(("raw", "orders"))
    lake.run(rows(SECOND), strategy="append")
    assert lake.rows("orders", "id", "name") == [(2, "B"), (3, "c")]


def test_a_snapshot_is_traced_to_its_load_run_and_commit(lake, rows):
    outcome = lake.run(
        rows(FIRST), strategy="append", run_id="scheduled__2024-01-01", logical_date="2024-01-01T00:00:00+00:00"
    )
    (summary,) = lake.summaries("orders")
    assert {
        name: summary[f"nilus.{name}"]
        for name in (
            "load-id",
            "dag-id",
            "task-id",
            "run-id",
            "repository",
            "commit",
            "source",
            "try-number",
            "logical-date",
        )
    } == {
        "load-id": outcome.loaded.load_ids[0],
        "dag-id": "shop",
        "task-id": "load",
        "run-id": "scheduled__2024-01-01",
        "repository": "https://example.org/sources",
        "commit": "c0ffee" + "0" * 34,
        "source": "shop.py:Shop",
        "try-number": "1",
        "logical-date": "2024-01-01T00:00:00+00:00",
    }
    assert set(lake.rows("orders", "_dlt_load_id")) == {(outcome.loaded.load_ids[0],)}


def test_an_address_that_names_no_folder_is_refused(lake, rows):
    lake.address = "iceberg://warehouse"
    with pytest.raises(DestinationError, match="names no folder"):
        lake.run(rows(FIRST))
