"""A million rows into files, in two runs, with a table that is replaced beside them."""

from __future__ import annotations

import pyarrow.compute as pc
import pytest

SOURCE = """
    import os

    @nilus.resource(write_disposition="append")
    def orders():
        state = nilus.current.resource_state()
        start = state.get("last", 0)
        for first in range(start + 1, start + {rows} + 1, 10_000):
            yield [
                {{"id": number, "name": f"customer {{number % 1000}}", "price": number / 4, "paid": number % 3 == 0}}
                for number in range(first, min(first + 10_000, start + {rows} + 1))
            ]
        state["last"] = start + {rows}

    @nilus.resource(write_disposition="replace")
    def customers():
        yield [{{"id": number}} for number in range({rows} // 10)]

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            return orders, customers
"""


@pytest.mark.parametrize(
    ("place", "query", "rows"),
    [
        ("file", "", 20_000),
        *(
            pytest.param(place, query, 500_000, marks=pytest.mark.soak)
            for place in ("file", "s3")
            for query in ("", "?table_format=delta")
        ),
    ],
)
def test_two_large_runs_are_there_row_by_row(place, query, rows, make_runner):
    run = make_runner(place, query)
    loads = [run(SOURCE.format(rows=rows), loader_file_size=100_000) for _ in range(2)]
    found = run.lake.read("orders")
    assert found.num_rows == 2 * rows
    assert pc.count_distinct(found.column("id")).as_py() == 2 * rows
    assert pc.sum(found.column("id")).as_py() == rows * (2 * rows + 1)
    print(f"{place}{query}: {rows} rows a run, {[load.seconds for load in loads]} s, {len(run.lake.files())} files")
    assert run.lake.read("customers").num_rows == rows // 10
    assert [load.tables["orders"]["rows"] for load in loads] == [rows, rows]
    run.lake.assert_settled()
