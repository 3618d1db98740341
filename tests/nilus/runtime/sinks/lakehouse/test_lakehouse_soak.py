"""A million rows."""

from __future__ import annotations

import pytest

CODE = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        @nilus.resource(name="orders")
        def orders():
            for number in range({start}, {stop}):
                yield {{"id": number, "name": f"name {{number}}", "price": number / 7, "kind": number % 10, "v": {v}}}
        return orders
"""


@pytest.mark.soak
def test_a_million_rows_are_appended_merged_and_replaced_each_in_one_snapshot(lake):
    layout = {"partition_by": [{"column": "kind", "type": "identity"}], "cluster_by": ["id"]}
    lake.run(CODE.format(start=0, stop=1_000_000, v=0), strategy="append", **layout)
    lake.run(CODE.format(start=900_000, stop=1_100_000, v=1), strategy="merge", primary_key=["id"], **layout)
    totals = "SELECT count(*), count(DISTINCT id), sum(v), min(id), max(id) FROM raw.orders"
    assert lake.query(totals) == [(1_100_000, 1_100_000, 200_000, 0, 1_099_999)]
    lake.run(CODE.format(start=0, stop=1_000_000, v=2), strategy="replace", **layout)
    assert lake.query(totals) == [(1_000_000, 1_000_000, 2_000_000, 0, 999_999)]
    assert len(lake.summaries("orders")) == 3
