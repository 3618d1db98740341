"""A million rows into SQLite and MariaDB; a smaller number always."""

from __future__ import annotations

import pytest

SOURCE = """
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)

class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource(primary_key="id")
def orders():
    for first in range({first}, {last}, 10_000):
        yield [
            {{
                "id": n, "name": f"order {{n}}", "amount": n / 4, "count": n % 7, "at": START + timedelta(seconds=n),
                "paid": n % 2 == 0, "city": f"city {{n % 100}}", "note": "x" * 20,
            }}
            for n in range(first, min(first + 10_000, {last}))
        ]
"""
SIZES = [20_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("rows", SIZES)
def test_many_rows_are_appended_whole(shop, rows):
    outcome = shop.run(SOURCE.format(first=0, last=rows), strategy="append")
    assert outcome.loaded.tables["orders"]["rows"] == rows
    assert shop.rows("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM raw.orders") == [
        (rows, rows, 0, rows - 1)
    ]
    print(f"{shop.database.name}: {rows} rows appended in {outcome.loaded.seconds}")


@pytest.mark.parametrize("rows", SIZES)
def test_a_tenth_of_the_rows_is_merged_into_the_others(shop, rows):
    shop.run(SOURCE.format(first=0, last=rows), strategy="merge")
    tenth = rows // 10
    outcome = shop.run(SOURCE.format(first=rows - tenth // 2, last=rows + tenth // 2), strategy="merge")
    assert shop.rows("SELECT count(*), count(DISTINCT id) FROM raw.orders") == [(rows + tenth // 2,) * 2]
    print(f"{shop.database.name}: {tenth} rows merged into {rows} in {outcome.loaded.seconds}")


NESTED = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource(primary_key="id")
def orders():
    for first in range({first}, {last}, 1_000):
        yield [{{"id": n, "parts": [{{"n": n}}, {{"n": -n}}]}} for n in range(first, min(first + 1_000, {last}))]
"""


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_nested_rows_are_merged_in_a_time_that_does_not_grow_with_the_square(shop):
    seconds = {}
    for rows in (4_000, 32_000):
        options = {"strategy": "merge", "max_table_nesting": 1, "full_refresh": True}
        shop.run(NESTED.format(first=0, last=rows), **options)
        options["full_refresh"] = False
        outcome = shop.run(NESTED.format(first=rows // 2, last=rows + rows // 2), **options)
        assert shop.rows("SELECT count(*) FROM raw.orders__parts") == [(rows * 3,)]
        seconds[rows] = outcome.loaded.seconds["load"]
    print(f"{shop.database.name}: half as many nested rows merged again, seconds to load {seconds}")
    assert seconds[32_000] < 24 * seconds[4_000], "eight times the rows, sixty-four times the pairs"
