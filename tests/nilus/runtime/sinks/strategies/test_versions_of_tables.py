"""scd2 with rows, DataFrames and Arrow tables: a row that stays the same stays one version."""

from __future__ import annotations

import pytest

SOURCE = """
    import datetime as dt
    from decimal import Decimal
    import pandas as pd
    import pyarrow as pa

    MAKERS = {
        "rows": lambda rows: rows,
        "frame": pd.DataFrame,
        "table": pa.Table.from_pylist,
        "batch": pa.RecordBatch.from_pylist,
    }

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            make = MAKERS[uri.partition("?")[2]]
            return [nilus.resource(iter([make(rows)]), name=name) for name, rows in CASES.items()]

    CASES = {}
"""
ROW = (
    "dict(id={id}, name='a', price=Decimal('1.50'), at=dt.datetime(2024, 1, 31, 12, 30, tzinfo=dt.timezone.utc), "
    "tags=dict(a=1, b=[1, 2]), none=None)"
)
FIRST = f"[{ROW.format(id=1)}, {ROW.format(id=2)}]"
# What comes in each of three runs; how many rows there are in the end, and how many of them are valid.
CASES = {
    "the_same": ((FIRST, FIRST, FIRST), 2, 2),
    "one_row_changed": (("[dict(id=1, v='a'), dict(id=2, v='b')]", "[dict(id=1, v='A'), dict(id=2, v='b')]") * 1, 3, 2),
    "one_row_gone": (("[dict(id=1, v='a'), dict(id=2, v='b')]", "[dict(id=1, v='a')]"), 2, 1),
    "one_row_back": (("[dict(id=1), dict(id=2)]", "[dict(id=1)]", "[dict(id=1), dict(id=2)]"), 3, 2),
    "columns_in_another_order": (("[dict(id=1, v='a')]", "[dict(v='a', id=1)]"), 1, 1),
}
SECOND = "dict(id=1, v=None), dict(id=2, v='x')"
OF_TABLES = {
    "a_column_that_gets_a_value_later": (
        (
            "[dict(id=1), dict(id=2)]",
            "[dict(id=1, v=None), dict(id=2, v='x')]",
            "[dict(id=1, v=None), dict(id=2, v='x')]",
        ),
        3,
        2,
    ),
    "whole_numbers_as_floats": (("[dict(id=1, n=5)]", "[dict(id=1, n=5.0)]"), 1, 1),
    "keys_in_another_order": (("[dict(id=1, t=dict(a=1, b=2))]", "[dict(id=1, t=dict(b=2, a=1))]"), 1, 1),
}


@pytest.mark.parametrize("kind", ["rows", "frame", "table", "batch"])
def test_a_row_that_stays_the_same_stays_one_version(run_strategy, sink, kind):
    cases = CASES if kind == "rows" else CASES | OF_TABLES
    for number in range(3):
        parts = {name: runs[min(number, len(runs) - 1)] for name, (runs, _, _) in cases.items()}
        source = SOURCE + "".join(f"    CASES[{name!r}] = {rows}\n" for name, rows in parts.items())
        run_strategy(source, sink.spec(strategy="scd2"), address=f"custom://Shop?{kind}")
    for name, (_, rows, valid) in cases.items():
        found = sink.rows(
            f'SELECT count(*), count(CASE WHEN "_dlt_valid_to" IS NULL THEN 1 END) FROM {sink.table(name)}'
        )
        assert [tuple(one) for one in found] == [(rows, valid)], name
