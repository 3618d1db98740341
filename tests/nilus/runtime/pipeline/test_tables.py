"""Which tables rows go to, and what is in them, whatever kind of row they came as."""

from __future__ import annotations

import pytest

from nilus.errors import DestinationError

TWO = """
    @nilus.resource
    def first():
        yield {"id": 1}

    @nilus.resource(table_name="the_second")
    def second():
        yield {"id": 2}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return first, second
"""
ONE = """
    @nilus.resource
    def first():
        yield {"id": 1}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return first
"""
NESTED = """
    @nilus.resource
    def orders():
        yield {"id": 1, "buyer": {"name": "Ada"}, "items": [{"sku": "x", "sizes": [1, 2]}, {"sku": "y"}]}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return orders
"""
KINDS = """
    import pandas as pd
    import pyarrow as pa

    ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]

    def kind(name):
        return {
            "dicts": lambda: iter(ROWS),
            "lists": lambda: [ROWS],
            "frame": lambda: [pd.DataFrame(ROWS)],
            "table": lambda: [pa.Table.from_pylist(ROWS)],
            "batch": lambda: pa.Table.from_pylist(ROWS).to_batches(),
            "mixed": lambda: [ROWS[0], pa.Table.from_pylist(ROWS[1:])],
        }[name]()

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            for name in ("dicts", "lists", "frame", "table", "batch", "mixed"):
                yield nilus.resource(lambda name=name: kind(name), name=name)
"""


def test_a_table_has_the_name_of_the_function_or_the_one_it_is_given(run_source):
    outcome = run_source(TWO)
    assert run_source.sink.tables() == outcome.rows == {"first": 1, "the_second": 1}


def test_dest_table_names_the_table_of_a_source_s_only_resource(run_duckdb):
    run_duckdb(ONE, table="orders")
    assert run_duckdb.sink.tables() == {"orders": 1}


@pytest.mark.parametrize("options", [{}, {"resources": ["first"]}], ids=["all", "one selected"])
def test_dest_table_does_not_merge_the_tables_of_several_resources(run_duckdb, options):
    outcome = run_duckdb(TWO, table="orders", **options)
    expected = {"first": 1} if options else {"first": 1, "the_second": 1}
    assert run_duckdb.sink.tables() == expected
    assert outcome.logged("WARNING", "dest-table names the table 'orders', which is ignored")


def test_dest_table_does_not_rename_the_table_a_resource_names(run_duckdb):
    code = ONE.replace("@nilus.resource", '@nilus.resource(table_name="mine")')
    outcome = run_duckdb(code, table="orders")
    assert run_duckdb.sink.tables() == {"mine": 1}
    assert outcome.logged("WARNING", "names its own table 'mine'")


def test_nested_values_stay_in_one_column(run_source):
    run_source(NESTED)
    assert run_source.sink.tables() == {"orders": 1}
    json = "jsonb" if run_source.sink.name == "postgres" else "json"
    assert run_source.sink.columns("orders") == {"buyer": json, "id": "bigint", "items": json}
    assert run_source.sink.rows("SELECT buyer->>'name' FROM raw.orders") == [("Ada",)]


def test_child_tables_carry_the_load_id_of_their_rows_at_every_depth(run_source):
    outcome = run_source(NESTED, max_table_nesting=2)
    assert outcome.rows == {"orders": 1, "orders__items": 2, "orders__items__sizes": 2}
    for table in outcome.rows:
        ids = run_source.sink.rows(f"SELECT DISTINCT _dlt_load_id FROM raw.{table}")
        assert ids == [(outcome.loaded.load_ids[0],)], table


def test_rows_of_every_kind_load_and_carry_the_load_id(run_source):
    outcome = run_source(KINDS)
    kinds = ("batch", "dicts", "frame", "lists", "mixed", "table")
    assert outcome.rows == dict.fromkeys(kinds, 2)
    for table in kinds:
        rows = run_source.sink.rows(f"SELECT id, name, _dlt_load_id, _dlt_id IS NULL FROM raw.{table} ORDER BY id")
        load_id = outcome.loaded.load_ids[0]
        assert rows == [(1, "a", load_id, False), (2, None, load_id, False)], table


HINTED = """
    import pandas as pd
    import pyarrow as pa

    ROW = {"Code": "12", "price": "1.50", "day": "2026-01-02"}
    ROW |= {"moment": "2026-01-02T03:04:05+02:00", "epoch": 1767323045}

    @nilus.resource
    def dicts():
        yield ROW

    @nilus.resource
    def frames():
        yield pd.DataFrame([ROW])

    @nilus.resource
    def tables():
        yield pa.Table.from_pylist([ROW])

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return dicts, frames, tables
"""
HINTS = {
    "Code": "bigint",
    "price": "decimal",
    "moment": "timestamp",
    "epoch": "timestamp",
    "day": "date",
    "never_comes": "bigint",
}


def test_type_hints_give_a_column_the_same_type_for_every_kind_of_row(run_source):
    run_source(HINTED, type_hints=HINTS)
    decimal = "numeric" if run_source.sink.name == "postgres" else "decimal(38,9)"
    expected = {
        "moment": "timestamp with time zone",
        "code": "bigint",
        "day": "date",
        "epoch": "timestamp with time zone",
        "price": decimal,
    }
    found = {table: run_source.sink.columns(table) for table in ("dicts", "frames", "tables")}
    assert found == dict.fromkeys(found, expected)
    rows = [
        run_source.sink.rows(f"SELECT code, price, moment, epoch, day FROM raw.{table}")
        for table in ("dicts", "frames", "tables")
    ]
    assert rows[0] == rows[1] == rows[2]
    ((code, price, at, epoch, day),) = rows[0]
    assert (code, float(price), day.isoformat()) == (12, 1.5, "2026-01-02")
    assert at.timestamp() == 1767315845
    assert epoch.timestamp() == 1767323045


def test_a_value_that_its_type_hint_cannot_hold_is_beside_the_column(run_duckdb):
    run_duckdb(HINTED.replace('"12"', '"twelve"'), type_hints=HINTS, resources=["frames"])
    assert run_duckdb.sink.rows("SELECT code__v_text FROM raw.frames") == [("twelve",)]


def test_a_key_of_the_workflow_is_the_primary_key_of_the_table(run_duckdb):
    code = ONE.replace('{"id": 1}', '[{"id": 1, "v": 1}, {"id": 1, "v": 2}]')
    run_duckdb(code, strategy="merge", primary_key=["id"])
    assert run_duckdb.sink.tables() == {"first": 1}


def test_a_yield_limit_stops_after_so_many_pages(run_duckdb):
    code = ONE.replace('yield {"id": 1}', 'yield from ([{"id": n}, {"id": -n}] for n in range(100))')
    assert run_duckdb(code, yield_limit=3).rows == {"first": 6}


def test_sizes_of_the_workflow_reach_dlt(run_duckdb):
    code = """
        import pathlib
        from dlt.common.configuration.resolve import resolve_configuration

        @nilus.resource
        def sizes():
            yield {
                "buffer": nilus.config["data_writer.buffer_max_items"],
                "file": nilus.config["normalize.data_writer.file_max_items"],
                "workers": nilus.config["extract.workers"],
            }
            yield from ({"n": n} for n in range(30))

        class Shop(CustomSource):
            def nilus_source(self, uri, table, page_size, extract_parallelism, **kwargs):
                assert (page_size, extract_parallelism) == (7, 3)
                return sizes
    """
    outcome = run_duckdb(code, page_size=7, extract_parallelism=3, loader_file_size=10)
    assert run_duckdb.sink.rows("SELECT buffer, file, workers FROM raw.sizes WHERE workers IS NOT NULL") == [(7, 10, 3)]
    jobs = [event for event in outcome.events if getattr(event, "jobs_total", None)]
    assert outcome.rows == {"sizes": 31}
    assert jobs == []  # a fast run reports nothing while it runs


@pytest.mark.parametrize("dataset", ["lake", "LAKE"])
def test_a_schema_named_like_the_duckdb_file_is_refused(run_duckdb, dataset):
    with pytest.raises(DestinationError, match=r"has the name of the DuckDB file lake\.duckdb"):
        run_duckdb(ONE, dataset=dataset)


def test_a_schema_s_name_is_reported_as_the_sink_has_it(run_source):
    outcome = run_source(ONE, dataset="RawData")
    assert outcome.loaded.dataset == "raw_data"
    assert run_source.sink.tables("raw_data") == {"first": 1}


def test_a_table_and_a_column_that_somebody_dropped_are_made_anew(run_source):
    code = ONE.replace('{"id": 1}', '{"id": 1, "v": 1}').replace(
        "@nilus.resource", '@nilus.resource(write_disposition="append")'
    )
    run_source(code)
    run_source.sink.execute("DROP TABLE raw.first")
    outcome = run_source(code)
    assert outcome.logged("WARNING", "gone from the sink", "first")
    assert run_source.sink.tables() == {"first": 1}
    run_source.sink.execute("ALTER TABLE raw.first DROP COLUMN v")
    run_source(code)
    assert run_source.sink.rows("SELECT id, v FROM raw.first ORDER BY v NULLS FIRST") == [(1, None), (1, 1)]
    assert not run_source(code).logged("gone from the sink")


def test_a_hint_for_a_column_that_has_another_type_already_says_so(run_duckdb):
    code = ONE.replace('{"id": 1}', '{"id": 1, "n": "5"}')
    run_duckdb(code)
    outcome = run_duckdb(code, type_hints={"n": "bigint", "id": "bigint"})
    (line,) = outcome.logged("WARNING", "type hint")
    assert "Column 'n' of table 'first' is text already, and its type hint bigint does not change it" in line
    refreshed = run_duckdb(code, type_hints={"n": "bigint"}, full_refresh=True)
    assert not refreshed.logged("type hint")
    assert run_duckdb.sink.columns("first") == {"id": "bigint", "n": "bigint"}
