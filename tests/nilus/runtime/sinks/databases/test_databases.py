"""SQLite and MariaDB: strategies, runs one after the other, nested rows, changed schemas; read with other clients."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from nilus.errors import NilusError, SourceError, WorkflowError

ROWS = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource
def orders():
    yield from {rows!r}
"""


def source(*rows):
    return ROWS.format(rows=list(rows))


FIRST = source({"id": 1, "day": 1, "name": "a"}, {"id": 2, "day": 2, "name": "b"})
SECOND = source({"id": 2, "day": 2, "name": "B"}, {"id": 3, "day": 3, "name": "c"})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"strategy": "append"}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")]),
        pytest.param({"strategy": "none"}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")], marks=pytest.mark.soak),
        ({"strategy": "replace"}, [(2, "B"), (3, "c")]),
        ({"strategy": "merge", "primary_key": ["id"]}, [(1, "a"), (2, "B"), (3, "c")]),
        ({"strategy": "merge", "primary_key": ["name"]}, [(1, "a"), (2, "B"), (2, "b"), (3, "c")]),
        ({"strategy": "delete+insert", "incremental_key": "day"}, [(1, "a"), (2, "B"), (3, "c")]),
    ],
    ids=["append", "none", "replace", "merge", "merge-by-text", "delete+insert"],
)
def test_a_strategy_does_in_two_runs_what_its_name_says(shop, options, expected):
    shop.run(FIRST, **options)
    shop.run(SECOND, **options)
    assert sorted(shop.rows("SELECT id, name FROM raw.orders")) == expected


def test_scd2_keeps_what_has_changed_with_the_time_it_was_true(shop):
    shop.run(FIRST, strategy="scd2")
    shop.run(SECOND, strategy="scd2")
    now = shop.rows("SELECT id, name FROM raw.orders WHERE _dlt_valid_to IS NULL ORDER BY id")
    assert now == [(2, "B"), (3, "c")]
    gone = shop.rows("SELECT id, name FROM raw.orders WHERE _dlt_valid_to IS NOT NULL ORDER BY id")
    assert gone == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("strategy", ["upsert", "insert-only"])
def test_a_way_to_merge_that_the_database_lacks_is_refused_before_the_source_is_read(shop, strategy):
    code = f'''
        class Shop(CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return orders

        @nilus.resource(write_disposition={{"disposition": "merge", "strategy": "{strategy}"}}, primary_key="id")
        def orders():
            raise RuntimeError("the source was read")
            yield
    '''
    with pytest.raises(WorkflowError, match=f"cannot write resource 'orders' by {strategy}"):
        shop.run(code)


NESTED = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource(primary_key="id")
def orders():
    for number in range({first}, {last}):
        yield {{"id": number, "items": [{{"sku": f"{{number}}-{{n}}-{word}", "parts": [{{"p": n}}]}} for n in (1, 2)]}}
"""


@pytest.mark.parametrize("strategy", ["merge", "replace", pytest.param("append", marks=pytest.mark.soak)])
def test_nested_rows_go_with_their_parents(shop, strategy):
    shop.run(NESTED.format(first=0, last=4, word="old"), strategy=strategy, max_table_nesting=2)
    shop.run(NESTED.format(first=2, last=6, word="new"), strategy=strategy, max_table_nesting=2)
    expected = {
        "merge": [(n, "old") for n in (0, 1)] + [(n, "new") for n in range(2, 6)],
        "replace": [(n, "new") for n in range(2, 6)],
        "append": [(n, "old") for n in range(4)] + [(n, "new") for n in range(2, 6)],
    }[strategy]
    assert sorted(shop.rows("SELECT sku FROM raw.orders__items")) == sorted(
        (f"{number}-{n}-{word}",) for number, word in expected for n in (1, 2)
    )
    orphans = shop.rows(
        "SELECT count(*) FROM raw.orders__items__parts p WHERE NOT EXISTS"
        " (SELECT 1 FROM raw.orders__items i WHERE i._dlt_id = p._dlt_parent_id)"
    )
    assert orphans == [(0,)]
    assert len(shop.rows("SELECT p FROM raw.orders__items__parts")) == 2 * len(expected)


def test_rows_are_merged_by_several_texts_that_are_long(shop):
    keys = {f"k{n}": "x" * 300 + str(n) for n in range(5)}
    options = {"strategy": "merge", "primary_key": list(keys)}
    shop.run(source({**keys, "v": 1}, {**keys, "k4": "other", "v": 2}), **options)
    shop.run(source({**keys, "v": 3}), **options)
    assert sorted(shop.rows("SELECT v FROM raw.orders")) == [(2,), (3,)]


FAILS = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource({hints})
def orders():
    yield {{"id": 2, "name": "new"}}
    yield {{"id": 10**18, "name": "x" * 70_000}}
"""


@pytest.mark.parametrize("options", [{"strategy": "replace"}, {"strategy": "merge", "primary_key": ["id"]}])
def test_a_load_that_fails_leaves_a_table_that_is_replaced_or_merged_as_it_was(shop, options):
    shop.run(FIRST, **options)
    if shop.database.name == "sqlite":
        shop.rows(
            "CREATE TRIGGER raw.refuse BEFORE INSERT ON orders WHEN NEW.id > 1000 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    else:
        shop.rows(
            "CREATE TRIGGER raw.refuse BEFORE INSERT ON raw.orders FOR EACH ROW"
            " IF NEW.id > 1000 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF"
        )
    with pytest.raises(NilusError):
        shop.run(FAILS.format(hints=""), **options)
    assert sorted(shop.rows("SELECT id, name FROM raw.orders")) == [(1, "a"), (2, "b")]


def test_a_column_that_comes_later_is_added_and_one_of_another_type_gets_a_column_of_its_own(shop):
    shop.run(FIRST, strategy="append")
    shop.run(source({"id": 3, "day": "tuesday", "name": "c", "price": 2.5}), strategy="append")
    assert sorted(shop.rows("SELECT id, day, day__v_text, price FROM raw.orders")) == [
        (1, 1, None, None),
        (2, 2, None, None),
        (3, None, "tuesday", 2.5),
    ]


CURSOR = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource
def orders():
    yield [{{"id": n, "name": f"row {{n}}"}} for n in range({rows})]
"""


def test_runs_with_a_cursor_load_each_row_once(shop):
    options = {"strategy": "append", "incremental_key": "id"}
    shop.run(CURSOR.format(rows=10), **options)
    shop.run(CURSOR.format(rows=25), **options)
    assert shop.rows("SELECT count(*), count(DISTINCT id) FROM raw.orders") == [(25, 25)]
    entries = shop.rows("SELECT reading, swept_at FROM raw._airflow_loads")
    assert entries == [("cursor", None), ("cursor", None)]


def test_the_journal_keeps_keys_apart_that_differ_in_case(shop):
    options = {"strategy": "append", "incremental_key": "id"}
    shop.run(CURSOR.format(rows=3), state_key="shop.load", **options)
    shop.runner.known, shop.runner.state = [], {}
    shop.run(CURSOR.format(rows=3), state_key="SHOP.load", **options)
    assert shop.rows("SELECT count(*) FROM raw.orders") == [(6,)]


def test_a_run_that_is_run_again_replaces_its_own_rows(shop):
    options = {"strategy": "append", "run_id": "r"}
    shop.run(FIRST, **options)
    shop.run(SECOND, **options)
    assert sorted(shop.rows("SELECT id FROM raw.orders")) == [(2,), (3,)]
    swept = shop.rows("SELECT count(*) FROM raw._airflow_loads WHERE swept_at IS NOT NULL")
    assert swept == [(1,)]


VALUES = """
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
import pyarrow as pa

BERLIN = timezone(timedelta(hours=2))
ROW = {
    "id": 1,
    "big": 2**62,
    "text": "Ωmega 🙂 'quoted' \\\\ back",
    "long": "x" * 200_000,
    "empty": "",
    "nothing": None,
    "yes": True,
    "ratio": 0.1,
    "price": Decimal("12345.67"),
    "at": datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=BERLIN),
    "day": date(2026, 5, 4),
    "clock": time(23, 59, 58, 123456),
    "raw": bytes(range(256)) * 300,
    "doc": {"a": [1, {"b": "ü"}]},
}

class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return rows, arrow

@nilus.resource
def rows():
    yield ROW

@nilus.resource
def arrow():
    flat = {name: value for name, value in ROW.items() if name not in ("doc", "nothing")}
    table = pa.Table.from_pylist([flat])
    at = pa.array([ROW["at"]], pa.timestamp("us", "Europe/Berlin"))
    yield table.set_column(table.schema.get_field_index("at"), "at", at)
"""


def test_values_of_every_type_come_back_from_rows_and_from_arrow_tables(shop):
    shop.run(VALUES)
    for table in ("rows", "arrow"):
        names = ["big", "text", "long", "empty", "yes", "ratio", "price", "at", "day", "clock", "raw"]
        quoted = ", ".join(f"`{name}`" for name in names)
        (found,) = [dict(zip(names, row, strict=True)) for row in shop.rows(f"SELECT {quoted} FROM raw.`{table}`")]
        assert found["big"] == 2**62
        assert found["text"] == "Ωmega 🙂 'quoted' \\ back"
        assert len(found["long"]) == 200_000
        assert found["empty"] == ""
        assert found["yes"] == 1
        assert found["ratio"] == 0.1
        assert float(found["price"]) == 12345.67
        assert str(found["at"]) == "2026-05-04 10:00:00.123456", "in UTC, whatever offset it came with"
        assert str(found["day"]) == "2026-05-04"
        assert str(found["clock"]) == "23:59:58.123456"
        assert found["raw"] == bytes(range(256)) * 300
    ((doc,),) = shop.rows("SELECT doc FROM raw.`rows`")
    assert json.loads(doc) == {"a": [1, {"b": "ü"}]}


def test_a_load_is_traced_to_its_run_with_times_in_utc(shop):
    shop.run(FIRST, logical_date="2026-01-02T00:00:00+02:00")
    ((run_id, logical_date, started_at),) = shop.rows("SELECT run_id, logical_date, started_at FROM raw._airflow_loads")
    assert run_id == "manual__1"
    assert str(logical_date)[:19] == "2026-01-01 22:00:00"
    started = datetime.fromisoformat(str(started_at)).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - started).total_seconds()) < 600


def test_a_full_refresh_makes_the_tables_anew(shop):
    shop.run(FIRST, strategy="append")
    shop.run(source({"id": "text now"}), strategy="append", full_refresh=True)
    assert shop.rows("SELECT id FROM raw.orders") == [("text now",)]
    assert "name" not in shop.database.columns("orders")


def test_a_table_that_somebody_dropped_is_made_anew(shop):
    shop.run(FIRST, strategy="append")
    shop.rows("DROP TABLE raw.orders")
    shop.run(SECOND, strategy="append")
    assert sorted(shop.rows("SELECT id FROM raw.orders")) == [(2,), (3,)]


def test_after_a_load_the_staging_tables_are_empty(shop):
    shop.run(FIRST, strategy="merge", primary_key=["id"])
    if shop.database.name == "sqlite":
        staged = shop.database.path.with_name("lake__raw_staging.db")
        import sqlite3

        connection = sqlite3.connect(staged)
        found = connection.execute("SELECT count(*) FROM orders").fetchall()
        connection.close()
    else:
        found = shop.rows("SELECT count(*) FROM raw_staging.orders")
    assert found == [(0,)]


def test_a_source_that_fails_leaves_no_trace(shop):
    code = """
        class Shop(CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return orders

        @nilus.resource
        def orders():
            yield {"id": 1}
            raise ValueError("upstream is gone")
    """
    with pytest.raises(SourceError, match="upstream is gone"):
        shop.run(code)


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_a_file_format_that_the_database_does_not_load_is_refused(shop, format_):
    with pytest.raises(NilusError, match=f"does not load files of the format {format_}"):
        shop.run(FIRST, loader_file_format=format_)


def test_a_staging_bucket_is_refused_before_the_source_is_read(shop):
    with pytest.raises(WorkflowError, match="staging-bucket"):
        shop.run(FIRST, staging_bucket="s3://bucket")
