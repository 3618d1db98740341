"""What a source yields and then fills again, and hints that it changes, reach the table as they were at the yield."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import both_ways
import dlt
import pandas as pd
import pytest
from both_ways import DUCKDB, Resource, difference, run
from postgres_both_ways import PostgresBothWays


@pytest.fixture(scope="module")
def postgres_sink(postgres: Any) -> Iterator[PostgresBothWays]:
    url = postgres.create_database()
    yield PostgresBothWays(url)
    postgres.drop_database(url)


@pytest.fixture(params=["duckdb", "postgres"])
def sink(request: pytest.FixtureRequest) -> Any:
    return DUCKDB if request.param == "duckdb" else request.getfixturevalue("postgres_sink")


def _ids(count: int, start: int = 0) -> list[dict[str, int]]:
    return [{"id": number} for number in range(start, start + count)]


def rows_then_a_list_filled_again() -> Iterator[Any]:
    yield from _ids(8)
    batch: list[Any] = []
    for row in _ids(12, 8):
        batch.append(row)
        if len(batch) == 3:
            yield batch
            batch.clear()


def a_list_filled_again_between_rows() -> Iterator[Any]:
    batch: list[Any] = []
    for number in range(0, 20, 4):
        yield {"id": number}
        batch[:] = _ids(2, number + 1)
        yield batch
        yield {"id": number + 3}


def a_row_filled_again() -> Iterator[Any]:
    row: dict[str, Any] = {}
    for number in range(20):
        row["id"] = number
        yield row


def a_marked_row_filled_again() -> Iterator[Any]:
    row: dict[str, Any] = {}
    for number in range(20):
        row["id"] = number
        yield dlt.mark.with_table_name(row, "t")


def a_frame_filled_again() -> Iterator[Any]:
    frame = pd.DataFrame({"id": range(4)})
    for number in range(0, 20, 4):
        frame.loc[:, "id"] = range(number, number + 4)
        yield frame


def rows_then_a_frame_filled_again() -> Iterator[Any]:
    yield from _ids(4)
    frame = pd.DataFrame({"id": range(8)})
    for number in range(4, 20, 8):
        frame.iloc[:, 0] = range(number, number + 8)
        yield frame


def a_list_of_a_frame_filled_again() -> Iterator[Any]:
    frame = pd.DataFrame({"id": range(10)})
    frames = [frame]
    for number in (0, 10):
        frame.loc[:, "id"] = range(number, number + 10)
        yield frames


def a_list_of_nested_generators() -> Iterator[Any]:
    batch: list[Any] = []

    def nested(start: int) -> Iterator[Any]:
        for number in (start, start + 2):
            batch[:] = _ids(2, number)
            yield batch

    yield from _ids(4)
    for start in range(4, 20, 4):
        yield nested(start)


async def asynchronous() -> Any:
    batch: list[Any] = []
    for number in range(0, 20, 2):
        batch[:] = _ids(2, number)
        yield batch
        await asyncio.sleep(0)


@dlt.resource(name="parents", selected=False)
def parents() -> Iterator[Any]:
    batch: list[Any] = []
    for number in range(0, 20, 2):
        batch[:] = _ids(2, number)
        yield batch


@dlt.transformer(name="t", data_from=parents)
def transformed(items: Any) -> Iterator[Any]:
    for item in items:
        yield {"id": item["id"]}


@dlt.transformer(name="t", data_from=parents)
def transformed_lists(items: Any) -> Iterator[Any]:
    batch: list[Any] = []
    for item in items:
        batch[:] = [item]
        yield batch


def _identity(resource: Any) -> Any:
    return resource.add_map(lambda row: row)


def _parallel(resource: Any) -> Any:
    return resource.parallelize()


SHAPES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any] | None]] = {
    **{
        function.__name__: (function, None)
        for function in (
            rows_then_a_list_filled_again,
            a_list_filled_again_between_rows,
            a_row_filled_again,
            a_marked_row_filled_again,
            a_frame_filled_again,
            rows_then_a_frame_filled_again,
            a_list_of_a_frame_filled_again,
            a_list_of_nested_generators,
            asynchronous,
        )
    },
    "parallel_lists": (rows_then_a_list_filled_again, _parallel),
    "parallel_frames": (a_frame_filled_again, _parallel),
    "a_step_and_lists": (rows_then_a_list_filled_again, _identity),
    "a_step_and_a_row": (a_row_filled_again, _identity),
    "a_transformer": (lambda: transformed, None),
    "a_transformer_that_yields_lists": (lambda: transformed_lists, None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_filled_again_is_loaded_as_it_was_when_it_was_yielded(shape: str, sink: Any, tmp_path: Path) -> None:
    make, steps = SHAPES[shape]
    data = make() if shape.startswith("a_transformer") else make
    resources = {"t": Resource([[None]], items=lambda _: data, steps=steps)}
    plain = run({"t": Resource([_ids(20)])}, tmp_path / "plain", "auto", sink=sink)
    for mode in ("auto", "off") if sink is DUCKDB else ("auto",):
        seen = run(resources, tmp_path / mode, mode, sink=sink)
        assert (seen.error, plain.error) == (None, None)
        assert both_ways.values(seen, "t") == both_ways.values(plain, "t")


def _hint(**hints: Any) -> None:
    dlt.current.resource().apply_hints(**hints)


def another_table() -> Iterator[Any]:
    yield from _ids(5)
    _hint(table_name="b")
    yield from _ids(5, 5)


def another_table_and_back() -> Iterator[Any]:
    for number in range(20):
        _hint(table_name="b" if number % 7 > 4 else "t")
        yield {"id": number} if number % 3 else [{"id": number}]


def another_table_after_the_last_row() -> Iterator[Any]:
    yield from _ids(5)
    _hint(table_name="b")


def another_type() -> Iterator[Any]:
    yield from ({"id": number, "v": str(number)} for number in range(5))
    _hint(table_name="b", columns={"v": {"data_type": "bigint"}})
    yield from ({"id": number, "v": str(number)} for number in range(5))


def another_disposition() -> Iterator[Any]:
    yield from _ids(5)
    _hint(table_name="b", write_disposition="replace", primary_key="id")
    yield from _ids(3, 5)


def another_contract() -> Iterator[Any]:
    yield from _ids(5)
    _hint(table_name="b", schema_contract={"columns": "discard_value"})
    yield {"id": 1}
    yield {"id": 2, "new": 3}


def a_table_by_the_row() -> Iterator[Any]:
    yield from _ids(5)
    _hint(table_name=lambda row: f"kind_{row['id'] % 2}")
    yield from _ids(5, 5)


def marked_hints() -> Iterator[Any]:
    yield from _ids(5)
    yield dlt.mark.with_hints({"id": 5}, dlt.mark.make_hints(table_name="b"))
    yield from _ids(5, 6)


def frames_and_rows() -> Iterator[Any]:
    yield from _ids(5)
    _hint(table_name="b")
    yield pd.DataFrame(_ids(5, 5))
    _hint(table_name="t")
    yield from _ids(5, 10)


CHANGING = {
    function.__name__: function
    for function in (
        another_table,
        another_table_and_back,
        another_table_after_the_last_row,
        another_type,
        another_disposition,
        another_contract,
        a_table_by_the_row,
        marked_hints,
        frames_and_rows,
    )
}


@pytest.mark.parametrize("has_step", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["no step", "a step"])
@pytest.mark.parametrize("change", CHANGING)
def test_each_row_follows_the_hints_at_its_yield(change: str, has_step: bool, sink: Any, tmp_path: Path) -> None:
    step = _identity if has_step else None
    resources = {"t": Resource([[None], [None]], items=lambda _: CHANGING[change], steps=step)}
    columns, rows = both_ways.both(resources, tmp_path, sink=sink)
    assert (columns.error, rows.error) == (None, None)
    assert difference(columns, rows, sink=sink) is None
