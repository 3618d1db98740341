"""Whatever shares a table, or is asked in turns, makes the columns and types that dlt makes of it in its order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from both_ways import Resource, both, difference

ONE = [{"a": 1}, {"a": 2, "c": 1}, {"a": 3}, {"e": 1}, {"f": "x"}]
TWO = [{"b": "x"}, {"d": 1}, {"a": "no number"}, {"g": 1}, {"f": 7}]


def _of(items: Any, **hints: Any) -> Resource:
    return Resource([[None], [None]], hints, items=lambda _: items)


def _nested() -> Iterator[Any]:
    yield {"a": 1}
    yield iter(ONE)
    yield list(TWO)
    yield (row for row in TWO)
    yield from ({"z": number, f"h{number}": number} for number in range(5))


def _generators_beside_lists() -> Iterator[Any]:
    yield (row for row in ONE)
    yield list(TWO)
    yield {"k": 1}
    yield lambda: {"l": 1}
    yield {"m": "x"}


def _nested_twice() -> Iterator[Any]:
    yield iter([iter(ONE), {"q": 1}, iter(TWO)])
    yield {"r": 1, "a": "text"}
    yield {"s": 1}


def _marked(table: str, rows: Any) -> Iterator[Any]:
    for row in rows:
        yield row
        yield dlt.mark.with_table_name(row, table)


def _hinted(table: str, rows: Any) -> Iterator[Any]:
    yield rows[0]
    dlt.current.resource().apply_hints(table_name=table)
    yield from rows[1:]


def _yields_many(resource: Any) -> Any:
    return resource.add_yield_map(lambda row: iter([row, {**row, "again": 1}]))


def _variant(resource: Any) -> Any:
    resource.apply_hints(table_name="two", columns={"v": {"data_type": "text"}}, create_table_variant=True)
    return resource


CASES: dict[str, dict[str, Resource]] = {
    "names_that_differ_in_case": {"Orders": _of(ONE), "orders": _of(TWO)},
    "table_names_that_differ_in_case": {
        "one": _of(ONE, table_name="allOrders"),
        "two": _of(TWO, table_name="all_orders"),
    },
    "one_names_the_other_s_table": {"one": _of(ONE, table_name="Two"), "two": _of(TWO)},
    "rows_marked_for_another_s_table": {"one": _of(lambda: _marked("two", ONE)), "two": _of(TWO)},
    "rows_hinted_into_another_s_table": {"one": _of(lambda: _hinted("two", ONE)), "two": _of(TWO)},
    "a_variant_of_another_s_table": {
        "one": Resource([[None]], items=lambda _: lambda: _marked("two", ONE), steps=_variant),
        "two": Resource([TWO]),
    },
    "a_nested_table_of_another_s_name": {
        "a": _of([{"id": 1, "b": [{"v": 1}, {"w": "x"}]}], max_table_nesting=1),
        "a__b": _of([{"w": 1}, {"v": "x"}, {"u": 2}]),
    },
    "nested_iterators": {"t": _of(_nested)},
    "nested_iterators_beside_another": {"t": _of(_nested), "u": _of(ONE)},
    "generators_beside_lists": {"t": _of(_generators_beside_lists)},
    "nested_twice": {"t": _of(_nested_twice)},
    "a_step_that_yields_many": {"t": Resource([ONE, TWO], steps=_yields_many)},
    "one_yields_lists": {
        "Orders": _of([ONE, TWO]),
        "orders": _of(TWO),
        "ORDERS": _of(lambda: iter([TWO, *ONE])),
    },
}


@pytest.mark.parametrize("case", CASES)
def test_what_shares_a_table_makes_the_table_that_dlt_makes(case: str, tmp_path: Path) -> None:
    columns, rows = both(CASES[case], tmp_path)
    assert (columns.error, rows.error) == (None, None)
    assert difference(columns, rows) is None
