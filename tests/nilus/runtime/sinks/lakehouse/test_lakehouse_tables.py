"""Types, schema changes, partitions, order and names of Iceberg tables."""

from __future__ import annotations

import datetime
from decimal import Decimal
from threading import BoundedSemaphore
from unittest.mock import MagicMock

import pytest
from pyiceberg.exceptions import CommitFailedException

from nilus.errors import DestinationError
from nilus.runtime.engine.failures import chain

EVERYTHING = """[{
    "id": 2**62,
    "text": "ä\\u0000 '\\"",
    "empty": "",
    "flag": True,
    "ratio": 0.1,
    "amount": Decimal("12345678901234567890.123456789"),
    "small": Decimal("1.50"),
    "at": datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    "naive": datetime.datetime(2024, 2, 29, 23, 59, 59, 123456),
    "day": datetime.date(1969, 12, 31),
    "clock": datetime.time(23, 59, 59, 999999),
    "raw": b"\\x00\\xff",
    "nested": {"a": [1, {"b": None}]},
    "nothing": None,
}]"""


def test_every_type_comes_back_as_it_went_in(lake, rows):
    hints = {"naive": {"data_type": "timestamp", "timezone": False}, "nothing": {"data_type": "text"}}
    lake.run(rows(EVERYTHING, columns=hints), strategy="append")
    kinds = {field.name: str(field.field_type) for field in lake.table("orders").schema().fields}
    assert {name: kind for name, kind in kinds.items() if not name.startswith("_dlt")} == {
        "id": "long",
        "text": "string",
        "empty": "string",
        "flag": "boolean",
        "ratio": "double",
        "amount": "decimal(38, 9)",
        "small": "decimal(38, 9)",
        "at": "timestamptz",
        "naive": "timestamp",
        "day": "date",
        "clock": "time",
        "raw": "binary",
        "nested": "string",
        "nothing": "string",
    }
    (row,) = lake.arrow("orders").to_pylist()
    assert {name: value for name, value in row.items() if not name.startswith("_dlt")} == {
        "id": 2**62,
        "text": "ä\x00 '\"",
        "empty": "",
        "flag": True,
        "ratio": 0.1,
        "amount": Decimal("12345678901234567890.123456789"),
        "small": Decimal("1.500000000"),
        "at": datetime.datetime(2024, 2, 29, 21, 59, 59, 123456, tzinfo=datetime.UTC),
        "naive": datetime.datetime(2024, 2, 29, 23, 59, 59, 123456),
        "day": datetime.date(1969, 12, 31),
        "clock": datetime.time(23, 59, 59, 999999),
        "raw": b"\x00\xff",
        "nested": '{"a":[1,{"b":null}]}',
        "nothing": None,
    }


def test_arrow_tables_with_types_of_their_own_are_written(lake, rows):
    code = rows(
        """[pa.table({
        "small": pa.array([1, 2], pa.int8()),
        "single": pa.array([0.5, None], pa.float32()),
        "word": pa.array(["a", "b"]).dictionary_encode(),
        "long": pa.array(["x", None], pa.large_string()),
        "fine": pa.array([1_000_001_000, None], pa.timestamp("ns", "UTC")),
        "bag": pa.array([{"a": [1]}, None]),
        "price": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "odd": pa.array([float("nan"), float("-inf")]),
    })]"""
    )
    lake.run(code, strategy="append")
    assert lake.rows("orders", "small", "single", "word", "long", "bag", "price") == [
        (1, 0.5, "a", "x", '{"a":[1]}', Decimal("1.25")),
        (2, None, "b", None, None, None),
    ]
    assert [repr(value) for value in lake.arrow("orders").column("odd").to_pylist()] == ["nan", "-inf"]
    moment = datetime.datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=datetime.UTC)
    assert lake.rows("orders", "fine") == [(None,), (moment,)]
    assert str(lake.table("orders").schema().find_field("price").field_type) == "decimal(10, 2)"


def test_new_columns_and_wider_types_change_the_schema_and_no_file(lake, rows):
    decimal_of = lambda digits: {"price": {"data_type": "decimal", "precision": digits, "scale": 2}}  # noqa: E731
    lake.run(rows("[{'id': 1, 'price': Decimal('1.25')}]", columns=decimal_of(8)), strategy="append")
    before = lake.files("orders")
    lake.run(rows("[{'id': 2, 'price': Decimal('1.5'), 'note': 'n'}]", columns=decimal_of(20)), strategy="append")
    schema = lake.table("orders").schema()
    assert str(schema.find_field("price").field_type) == "decimal(20, 2)"
    assert lake.rows("orders", "id", "price", "note") == [(1, Decimal("1.25"), None), (2, Decimal("1.50"), "n")]
    assert set(before) < set(lake.files("orders"))


def test_a_table_that_somebody_else_made_with_narrower_types_is_widened(lake, rows):
    import pyarrow as pa

    lake.run(rows("[{'id': 1}]", name="other"), strategy="append")
    table = lake.catalog.create_table(
        ("raw", "orders"), schema=pa.schema([pa.field("id", pa.int32()), pa.field("ratio", pa.float32())])
    )
    table.append(pa.table({"id": pa.array([1], pa.int32()), "ratio": pa.array([0.5], pa.float32())}))
    lake.run(rows("[{'id': 2**40, 'ratio': 0.1}]"), strategy="append")
    assert {field.name: str(field.field_type) for field in lake.table("orders").schema().fields[:2]} == {
        "id": "long",
        "ratio": "double",
    }
    assert lake.rows("orders", "id", "ratio") == [(1, 0.5), (2**40, 0.1)]


def test_a_value_of_another_type_goes_into_a_column_of_its_own(lake, rows):
    lake.run(rows("[{'id': 1, 'v': 5}]"), strategy="append")
    lake.run(rows("[{'id': 2, 'v': 'five'}]"), strategy="append")
    assert lake.rows("orders", "id", "v", "v__v_text") == [(1, 5, None), (2, None, "five")]


TRANSFORMS = [
    {"column": "at", "type": "year"},
    {"column": "at", "type": "month"},
    {"column": "day", "type": "day"},
    {"column": "at", "type": "hour", "name": "at_the_hour"},
    {"column": "id", "type": "bucket", "bucket_count": 4},
    {"column": "kind", "type": "identity"},
]
LAID_OUT = """[{'id': n, 'kind': 'ab'[n % 2], 'day': datetime.date(2024, 1, 1 + n % 3),
    'at': datetime.datetime(2023 + n % 2, 1, 1, n % 2, tzinfo=datetime.timezone.utc)} for n in range(40)]"""


@pytest.mark.parametrize("partition", TRANSFORMS, ids=lambda one: one["type"])
def test_partitions_are_in_the_spec_and_in_the_layout_of_the_files(partition, lake, rows):
    lake.run(rows(LAID_OUT), strategy="append", partition_by=[partition])
    (part,) = lake.table("orders").spec().fields
    transform = "bucket[4]" if partition["type"] == "bucket" else partition["type"]
    name = partition.get("name") or (
        partition["column"] if partition["type"] == "identity" else f"{partition['column']}_{partition['type']}"
    )
    assert (str(part.transform), part.name) == (transform, name)
    folders = {path.split("/data/")[1].split("/")[0] for path in lake.files("orders")}
    assert (
        folders
        == {
            "year": {"at_year=2023", "at_year=2024"},
            "month": {"at_month=2023-01", "at_month=2024-01"},
            "day": {f"day_day=2024-01-0{n}" for n in (1, 2, 3)},
            "hour": {"at_the_hour=2023-01-01-00", "at_the_hour=2024-01-01-01"},
            "bucket": {f"id_bucket={n}" for n in range(4)},
            "identity": {"kind=a", "kind=b"},
        }[partition["type"]]
    )
    assert lake.tables() == {"orders": 40}


def test_partitions_are_ordered_by_index_and_rows_within_files_by_cluster_by(lake, rows):
    lake.run(
        rows("[{'id': (n * 7) % 40, 'kind': 'ab'[n % 2], 'size': n % 4} for n in range(40)]"),
        strategy="append",
        partition_by=[
            {"column": "size", "type": "identity", "index": 2},
            {"column": "kind", "type": "identity", "index": 1},
        ],
        cluster_by=["id"],
    )
    import pyarrow.parquet as pq

    table = lake.table("orders")
    assert [part.name for part in table.spec().fields] == ["kind", "size"]
    assert [table.schema().find_column_name(part.source_id) for part in table.sort_order().fields] == ["id"]
    for path in lake.files("orders"):
        ids = pq.ParquetFile(path).read(["id"]).column("id").to_pylist()
        assert ids == sorted(ids)


def test_merges_and_replacements_of_partitioned_tables_are_right_and_other_partitions_may_come_later(lake, rows):
    code = "[{{'id': n, 'kind': 'abc'[n % 3], 'v': {v}}} for n in range({start}, {stop})]"
    by_kind = {"partition_by": [{"column": "kind", "type": "identity"}]}
    merge = {"strategy": "merge", "primary_key": ["id"]}
    lake.run(rows(code.format(v=1, start=0, stop=30)), **merge, **by_kind)
    lake.run(rows(code.format(v=2, start=20, stop=40)), **merge, **by_kind)
    assert lake.rows("orders", "id", "v") == sorted(((n, 1 if n < 20 else 2) for n in range(40)), key=repr)
    lake.run(
        rows(code.format(v=3, start=39, stop=50)),
        **merge,
        partition_by=[{"column": "id", "type": "bucket", "bucket_count": 2}],
    )
    assert lake.rows("orders", "id", "v") == sorted(
        ((n, 1 if n < 20 else 2 if n < 39 else 3) for n in range(50)), key=repr
    )
    assert len(lake.table("orders").specs()) == 2
    lake.run(rows(code.format(v=4, start=0, stop=3)), strategy="replace")
    assert lake.rows("orders", "id", "v") == [(0, 4), (1, 4), (2, 4)]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"partition_by": [{"column": "nope", "type": "identity"}]}, "columns that no table of the source has"),
        ({"cluster_by": ["nope"]}, "columns that no table of the source has"),
        ({"partition_by": [{"column": "name", "type": "day"}]}, "cannot be partitioned by day"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_and_nothing_is_loaded(layout, said, lake, rows):
    with pytest.raises(DestinationError, match=said) as error:
        lake.run(rows("[{'id': 1, 'name': 'a'}]"), strategy="append", **layout)
    assert not error.value.retryable
    assert lake.tables().get("orders", 0) == 0


def test_names_are_those_dlt_gives_and_the_schema_is_the_namespace(lake, rows):
    lake.run(rows("[{'Order ID': 1, 'käse': 2}]", name="MyOrders"), strategy="append", dataset="Sales_2024")
    (schema,) = [name for (name,) in lake.catalog.list_namespaces()]
    assert schema == "sales_2024"
    assert lake.rows("my_orders", "order_id", schema=schema) == [(1,)]


def test_two_thousand_columns_are_written(lake, rows):
    lake.run(rows("[{f'c{n}': n for n in range(2000)}]"), strategy="append")
    assert lake.arrow("orders").num_columns == 2002


def test_rows_that_a_table_cannot_hold_are_refused_and_none_is_loaded(lake, rows):
    code = "[pa.table({'id': pa.array([2**63], pa.uint64())})]"
    with pytest.raises(DestinationError, match="Column 'id' of table 'orders' has values"):
        lake.run(rows(code), strategy="append")
    assert lake.rows("orders", "id") == []


@pytest.mark.parametrize(
    ("retryable", "cause", "state"),
    [(False, None, "failed"), (True, None, "retry"), (True, CommitFailedException("waited for it"), "failed")],
)
def test_a_table_is_loaded_again_only_where_that_can_help(retryable, cause, state, tmp_path):
    from nilus.runtime.sinks.lakehouse.client import TableLoadJob

    error = DestinationError("no", expected="x", found="y", remedy="z", retryable=retryable)
    error.__cause__ = cause
    client = MagicMock()
    client.load_chain.side_effect = error
    references = tmp_path / "orders.0f9a2b.0.reference"
    references.write_text(str(tmp_path / "orders.0f9a2b.0.parquet"))
    job = TableLoadJob(str(references))
    job.set_run_vars("1", MagicMock(), {"name": "orders"}, None)
    job.run_managed(client, BoundedSemaphore())
    assert job.state() == state
    assert error in chain(job.exception())
