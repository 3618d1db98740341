"""Columns: their names, how many there may be, nesting, and hints on every kind of row."""

from __future__ import annotations

import json

import pytest
from child_run import child_run
from job_fixture import change_job

from nilus.errors import NilusError, SourceError, WorkflowError
from nilus.runtime.engine.context import config_values

SHOP = """
    import pandas as pd
    import pyarrow as pa

    ROWS = {rows}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            made = {{
                "dicts": lambda: iter(ROWS),
                "lists": lambda: [ROWS],
                "frames": lambda: [pd.DataFrame(ROWS)],
                "tables": lambda: [pa.Table.from_pylist(ROWS)],
                "batches": lambda: pa.Table.from_pylist(ROWS).to_batches(),
                "tables_in_lists": lambda: [[pa.Table.from_pylist(ROWS)]],
            }}
            return [nilus.resource(make, name=name) for name, make in made.items()]
"""
KINDS = ["dicts", "lists", "frames", "tables", "batches", "tables_in_lists"]


def shop(*rows):
    return SHOP.format(rows=repr(list(rows)))


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_get_one_name_are_refused_with_both_and_nothing_is_loaded(run_types, duckdb, kind):
    with pytest.raises(
        SourceError, match=f"'{kind}': the columns 'Order Id' and 'order_id' get the same name"
    ) as caught:
        run_types(shop({"Order Id": 1, "order_id": 2}), duckdb.spec(), resources=[kind])
    assert "'order_id' for both" in caught.value.found
    assert duckdb.tables() == set()


# A row, and the keys that become the same column or child table.
COLLISIONS = {
    "nested_and_flat": ({"a": {"B": 1}, "a__b": 2}, "'a__b' and 'a.B'"),
    "the_same_spelling": ({"a": {"b": 1}, "a__b": 2}, "'a__b' and 'a.b'"),
    "in_a_child_table": ({"items": [{"xY": 1, "x_y": 2}]}, "'xY' and 'x_y'"),
    "in_a_grandchild": ({"items": [{"id": 1, "l": [{"q": {"xY": 1}, "q__x_y": 2}]}]}, "'q__x_y' and 'q.xY'"),
    "two_child_tables": ({"aB": [1], "a_b": [2]}, "'aB' and 'a_b'"),
    "a_nested_child_table": ({"a": {"b": [1]}, "a__b": [2]}, "'a__b' and 'a.b'"),
}
# A row, its first columns in the table.
TWINS = {
    "no_value_behind": ({"x_y": 1, "xY": None}, {"x_y": 1}),
    "no_value_before": ({"xY": None, "x_y": 1}, {"x_y": 1}),
    "no_value_in_either": ({"xY": None, "x_y": None, "z": 1}, {"z": 1}),
    "no_nested_value": ({"a": {"b": None}, "a__b": 2}, {"a__b": 2}),
}


@pytest.mark.parametrize("name", COLLISIONS)
def test_keys_that_become_one_column_at_any_depth_are_refused_with_both(run_types, duckdb, name):
    row, both = COLLISIONS[name]
    with pytest.raises(SourceError, match=f"the columns {both} get the same name"):
        run_types(shop(row), duckdb.spec(), resources=["dicts"], max_table_nesting=3)


def test_keys_that_become_one_column_stay_apart_where_they_stay_json(run_types, sink):
    for row, _ in (COLLISIONS["in_a_child_table"], COLLISIONS["the_same_spelling"]):
        run_types(shop({"id": 1, **row}), sink.spec(), resources=["dicts"])
    assert set(sink.columns("dicts")) == {"id", "items", "a", "a__b"}


@pytest.mark.parametrize("name", TWINS)
def test_a_key_without_a_value_gives_way_to_the_other_of_its_name(run_types, duckdb, name):
    row, expected = TWINS[name]
    kinds = ["dicts", "lists"] if name.startswith("no_nested") else ["dicts", "frames", "tables_in_lists"]
    run_types(shop(row), duckdb.spec(), resources=kinds, max_table_nesting=2)
    for kind in kinds:
        columns = ", ".join(expected)
        assert duckdb.rows(f"SELECT {columns} FROM raw.{kind}") == [tuple(expected.values())]


def test_a_name_that_is_spelt_differently_from_row_to_row_is_one_column(run_types, duckdb):
    run_types(shop({"Order Id": 1}, {"order_id": 2}), duckdb.spec(), resources=["dicts"])
    assert duckdb.rows("SELECT order_id FROM raw.dicts ORDER BY 1") == [(1,), (2,)]


def test_the_naming_convention_is_what_schema_naming_says(run_types, duckdb):
    rows = shop({"Order Id": 1, "order_id": 2})
    failed, said, _ = child_run(run_types, rows, duckdb, {"SCHEMA_NAMING": "direct"}, resources=["dicts", "tables"])
    assert not failed, said
    for table in ("dicts", "tables"):
        assert duckdb.rows(f'SELECT "Order Id", order_id FROM raw.{table}') == [(1, 2)]


LONG = {
    "ü" * 40 + "1": 1,
    "ü" * 40 + "2": 2,
    "日" * 30: 3,
    "x" * 70: 4,
    "x" * 69 + "y": 5,
    "ö" * 31: 6,
    "a" + "€" * 40 + "z": 7,
}


def test_names_too_long_for_the_sink_are_told_apart_and_the_same_in_the_next_run(run_types, sink):
    table = "tä" * 35
    code = shop({"id": 1, **LONG}).replace("name=name) for", f"name=name, table_name={table!r} + name[:1]) for")
    for _ in range(2):
        naming = {"SCHEMA_NAMING": "direct"}
        failed, said, _ = child_run(run_types, code, sink, naming, resources=["dicts", "tables"], strategy="append")
        assert not failed, said
    loaded = [name for name in sink.tables() if name.startswith("tä")]
    assert len(loaded) == 2
    for name in loaded:
        columns = [column for column in sink.columns(name) if column != "id"]
        assert len(columns) == len(LONG)
        found = sink.rows(f"SELECT {', '.join(map(sink.quoted, columns))} FROM {sink.table(name)}")
        assert [sorted(row) for row in found] == [sorted(LONG.values())] * 2


@pytest.mark.parametrize("name", ["SCHEMA_NAMING", "SCHEMA__NAMING"])
@pytest.mark.parametrize(
    ("value", "schema"),
    [("direct", {"naming": "direct"}), (" SQL_CS_V1 ", {"naming": "sql_cs_v1"}), ("default", None), ("", None)],
)
def test_the_naming_convention_reaches_dlt_only_if_the_author_of_the_dag_gave_it(
    run_types, duckdb, name, value, schema
):
    job = run_types.job(shop({"id": 1}), duckdb.spec())
    assert "schema" not in config_values(job, {name: value})
    assert config_values(change_job(job, env_names=[name]), {name: value}).get("schema") == schema


def test_an_unknown_naming_convention_is_refused_with_the_nearest(run_types, duckdb):
    job = change_job(run_types.job(shop({"id": 1}), duckdb.spec()), env_names=["SCHEMA_NAMING"])
    with pytest.raises(WorkflowError, match="names no naming convention, did you mean snake_case"):
        config_values(job, {"SCHEMA_NAMING": "snakecase"})


def test_two_thousand_columns_arrive(run_types, duckdb):
    wide = "[{f'c{number}': number for number in range(2000)}]"
    run_types(SHOP.format(rows=wide), duckdb.spec(), resources=["lists", "tables"])
    for table in ("lists", "tables"):
        assert len(duckdb.columns(table)) == 2000
        assert duckdb.rows(f"SELECT c0, c999, c1999 FROM raw.{table}") == [(0, 999, 1999)]


def test_more_columns_than_the_destination_holds_fail_with_its_own_words(run_types, request, tmp_path):
    from sql_tables import SINKS

    postgres = SINKS["postgres"](request, tmp_path)
    wide = "[{f'c{number}': number for number in range(2000)}]"
    with pytest.raises(NilusError, match="at most 1600 columns"):
        run_types(SHOP.format(rows=wide), postgres.spec(), resources=["lists"])
    assert postgres.tables() == set()


HINTED = {"id": 1, "j": '{"a": [1]}', "n": {"b": 2}, "s": "2024-01-31T12:30:00", "d": "1.50", "i": "7", "e": ""}
HINTS = {"J": "json", "n": "json", "s": "text", "d": "decimal", "i": "bigint", "e": "text"}


def test_hints_mean_the_same_on_every_kind_of_row(run_types, sink):
    run_types(shop(HINTED, dict.fromkeys(HINTED) | {"id": 2}), sink.spec(), type_hints=HINTS)
    columns = {table: dict(sorted(sink.columns(table).items())) for table in KINDS}
    assert len({str(found) for found in columns.values()}) == 1, columns
    assert columns["tables"]["j"] in ("json", "jsonb")
    for table in KINDS:
        (row, empty) = sink.rows(f"SELECT j, n, s, d, i, e FROM {sink.table(table)} ORDER BY id")
        j, n = (json.loads(value) if isinstance(value, str) else value for value in row[:2])
        assert (j, n, *map(str, row[2:])) == ({"a": [1]}, {"b": 2}, HINTED["s"], "1.500000000", "7", ""), table
        assert set(empty) == {None}, table


def test_nesting_makes_tables_of_rows_and_json_of_columns_of_tables(run_types, sink):
    rows = shop({"id": 1, "a": {"b": 2}, "items": [{"n": 1}, {"n": 2}]})
    run_types(rows, sink.spec(), resources=["dicts", "tables"], max_table_nesting=1)
    assert sink.rows(f"SELECT id, a__b FROM {sink.table('dicts')}") == [(1, 2)]
    assert sink.rows(f"SELECT n FROM {sink.table('dicts__items')} ORDER BY n") == [(1,), (2,)]
    (row,) = sink.rows(f"SELECT a, items FROM {sink.table('tables')}")
    assert [json.loads(value) if isinstance(value, str) else value for value in row] == [
        {"b": 2},
        [{"n": 1}, {"n": 2}],
    ]
