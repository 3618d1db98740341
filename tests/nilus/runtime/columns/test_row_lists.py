"""Rows are taken in lists, and a source cannot tell: each goes through the steps before the next is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import pandas as pd
import pyarrow as pa
import pytest
from both_ways import Resource, both, difference, run
from dlt.extract.extract import PipeIterator

from nilus.runtime.columns import chunk_files, row_lists
from nilus.runtime.columns.batching import batching
from nilus.runtime.columns.column_chunk import ColumnChunk
from nilus.runtime.rows.reading.incremental import Cursor

ROWS = [{"id": number, "name": f"row {number}"} for number in range(300)]


def _source(*resources: Any) -> Any:
    @dlt.source(name="shop", max_table_nesting=0)
    def shop() -> Any:
        return resources

    return shop()


def _same(make: Callable[[], Any], folder: Path, runs: int = 1) -> tuple[Any, Any]:
    """Run what `make` returns both ways; it is asked for each run anew."""
    resource = Resource([[None]] * runs, items=lambda _items: make())
    columns, rows = both({"t": resource}, folder)
    assert difference(columns, rows) is None
    return columns, rows


def _events(make: Callable[[list[str]], Any], folder: Path) -> tuple[list[str], list[str]]:
    """Return what a resource and its steps noted, by column and one by one."""
    noted: list[list[str]] = []

    def items(_items: Any) -> Any:
        noted.append([])
        return make(noted[-1])

    columns, rows = both({"t": Resource([[None]], items=items)}, folder)
    assert difference(columns, rows) is None
    return noted[0], noted[1]


def test_a_row_has_gone_through_the_steps_before_the_next_is_asked_for(tmp_path: Path) -> None:
    def make(noted: list[str]) -> Any:
        @dlt.resource(name="t")
        def rows() -> Iterator[Any]:
            for number in range(5):
                noted.append(f"yields {number}")
                yield {"id": number}

        def step(row: Any) -> Any:
            noted.append(f"takes {row['id']}")
            return row

        return rows.add_map(step)

    columns, one_by_one = _events(make, tmp_path)
    assert columns == one_by_one == [f"{what} {number}" for number in range(5) for what in ("yields", "takes")]


def test_a_source_that_looks_at_its_cursor_sees_it_move_with_each_row(tmp_path: Path) -> None:
    def make(noted: list[str]) -> Any:
        @dlt.resource(name="t")
        def rows(cursor: Any = dlt.sources.incremental("id", initial_value=0)) -> Iterator[Any]:  # noqa: B008
            while cursor.last_value < 5:
                noted.append(str(cursor.last_value))
                yield {"id": cursor.last_value + 1}

        return rows

    columns, one_by_one = _events(make, tmp_path)
    assert columns == one_by_one == ["0", "1", "2", "3", "4"]


def test_an_ordered_cursor_closes_the_generator_at_the_same_row(tmp_path: Path) -> None:
    def make(noted: list[str]) -> Any:
        @dlt.resource(name="t")
        def rows(
            cursor: Any = dlt.sources.incremental("id", initial_value=0, end_value=4, row_order="asc"),  # noqa: B008
        ) -> Iterator[Any]:
            for number in range(100):
                noted.append(str(number))
                yield {"id": number}

        return rows

    columns, one_by_one = _events(make, tmp_path)
    assert columns == one_by_one
    assert len(columns) < 10


CURSOR_ROWS = [
    [{"id": number // 3, "v": number % 2, "w": number} for number in range(200)],
    [{"id": 60 + number // 4, "v": number, "w": number} for number in range(200)],
    [{"id": 66, "v": 198 % 2, "w": 198}, {"id": 109, "v": 1}, {"id": 110, "v": {1, 2}}, {"id": 110, "v": 7}],
]


@pytest.mark.parametrize("primary_key", [None, (), "w"], ids=["whole rows", "no key", "a key"])
def test_the_workflow_s_cursor_keeps_and_leaves_out_the_same_rows(primary_key: Any, tmp_path: Path) -> None:
    def cursor(resource: Any) -> Any:
        resource.apply_hints(incremental=Cursor("id", primary_key=primary_key))
        return resource

    rows = [[{"w": 0, **row} for row in run] for run in CURSOR_ROWS]
    columns, one_by_one = both({"t": Resource(rows, steps=cursor)}, tmp_path)
    assert columns.error is None
    assert difference(columns, one_by_one) is None
    assert columns.state["shop"]["resources"]["t"]["incremental"]["id"]["last_value"] == 110


@pytest.mark.parametrize("options", [{"max_items": 3}, {"max_items": 3, "count_rows": True}], ids=str)
def test_a_limit_stops_the_generator_at_the_same_row(options: dict[str, Any], tmp_path: Path) -> None:
    def make(noted: list[str]) -> Any:
        @dlt.resource(name="t")
        def rows() -> Iterator[Any]:
            for number in range(100):
                noted.append(str(number))
                yield [{"id": number}, {"id": -number}] if number % 2 else {"id": number}

        return rows.add_limit(**options)

    columns, one_by_one = _events(make, tmp_path)
    assert columns == one_by_one
    assert len(columns) <= 4


def test_a_transformer_gets_what_its_resource_yields_item_by_item(tmp_path: Path) -> None:
    def make(noted: list[str]) -> Any:
        @dlt.resource(name="parents")
        def parents() -> Iterator[Any]:
            yield {"id": 1}
            yield [{"id": 2}, {"id": 3}]

        @dlt.transformer(name="t", data_from=parents)
        def rows(item: Any) -> Iterator[Any]:
            noted.append(repr(item))
            yield from item if isinstance(item, list) else [item]

        return rows

    columns, one_by_one = _events(make, tmp_path)
    assert columns == one_by_one == ["{'id': 1}", "[{'id': 2}, {'id': 3}]"]


def test_a_generator_is_closed_when_the_extraction_fails(tmp_path: Path) -> None:
    def make(noted: list[str]) -> Any:
        @dlt.resource(name="t")
        def rows() -> Iterator[Any]:
            try:
                yield from ({"id": number} for number in range(10))
            finally:
                noted.append("closed")

        def step(row: Any) -> Any:
            if row["id"] == 3:
                raise LookupError("no such row")
            return row

        return rows.add_map(step)

    columns, one_by_one = _events(make, tmp_path)
    assert columns == one_by_one == ["closed"]


@pytest.mark.parametrize("fails_in", ["generator", "step", "type error of a step", "filter"])
def test_a_failure_names_where_it_was_in_dlt_s_words(fails_in: str, tmp_path: Path) -> None:
    def fail(row: Any) -> Any:
        if row["id"] == 2:
            raise TypeError("not this type") if "type" in fails_in else LookupError("no such row")
        return row

    def rows() -> Iterator[Any]:
        for number in range(5):
            row = {"id": number}
            yield fail(row) if fails_in == "generator" else row

    said = []
    for mode in ("auto", "off"):
        resource = dlt.resource(rows, name="t")
        if fails_in != "generator":
            resource = resource.add_filter(fail) if fails_in == "filter" else resource.add_map(fail)
        source = _source(resource)
        pipeline = dlt.pipeline(
            f"p_{mode}", pipelines_dir=str(tmp_path / mode), destination="duckdb", dataset_name="raw"
        )
        with batching(source, mode, "parquet"), pytest.raises(Exception, match="step=extract") as caught:
            pipeline.extract(source, loader_file_format="parquet")
        pipeline.deactivate()
        chain, error = [], caught.value.__cause__
        while error is not None:
            chain.append((type(error), str(error)))
            error = error.__cause__ or error.__context__
        said.append(chain)
    assert said[0] == said[1]
    assert len(said[0]) >= 2


def test_state_that_is_written_while_yielding_is_kept(tmp_path: Path) -> None:
    def make() -> Any:
        @dlt.resource(name="t")
        def rows() -> Iterator[Any]:
            state = dlt.current.resource_state()
            for number in range(300):
                state["seen"] = state.get("seen", 0) + 1
                yield {"id": number, "seen": state["seen"]}

        return rows

    columns, _ = _same(make, tmp_path, runs=2)
    assert columns.state["shop"]["resources"]["t"]["seen"] == 600


@pytest.mark.parametrize(
    "data",
    [
        lambda: list(ROWS),
        lambda: iter(ROWS),
        lambda: (row for row in ROWS),
        lambda: [ROWS[:100], ROWS[100:]],
        lambda: lambda: iter(ROWS),
        lambda: [None, *ROWS, None],
        lambda: [ROWS[0], pd.DataFrame(ROWS[1:3]), ROWS[3], pa.Table.from_pylist(ROWS[4:6]), *ROWS[6:]],
        lambda: [ROWS[0], lambda: ROWS[1], *ROWS[2:]],
        lambda: [dlt.mark.with_table_name(row, "even" if row["id"] % 2 else "odd") for row in ROWS],
        lambda: [ROWS[0], dlt.mark.materialize_table_schema(), *ROWS[1:]],
    ],
    ids=[
        "list",
        "iterator",
        "generator",
        "pages",
        "function",
        "nothings",
        "tables",
        "deferred",
        "other tables",
        "empty",
    ],
)
def test_whatever_a_resource_is_made_of_its_tables_are_the_same(data: Callable[[], Any], tmp_path: Path) -> None:
    _same(data, tmp_path)


def test_asynchronous_parallel_and_deferred_rows_make_the_same_tables(tmp_path: Path) -> None:
    async def asynchronous() -> Any:
        for row in ROWS:
            await asyncio.sleep(0)
            yield row

    def parallel() -> Iterator[Any]:
        yield from ROWS

    @dlt.defer
    def deferred_row(row: Any) -> Any:
        return row

    def deferred() -> Iterator[Any]:
        for row in ROWS:
            yield deferred_row(row)

    resources = {
        "asynchronous": Resource([[None]], items=lambda _items: asynchronous),
        "parallel": Resource([[None]], {"parallelized": True}, items=lambda _items: parallel),
        "deferred": Resource([[None]], items=lambda _items: deferred),
        "plain": Resource([ROWS]),
    }
    columns, rows = both(resources, tmp_path)
    assert difference(columns, rows) is None


def test_two_resources_of_one_table_keep_the_order_in_which_dlt_asks_them(tmp_path: Path) -> None:
    resources = {
        "first": Resource([[{"a": 1}, {"a": 2, "c": 1}, {"a": 3}]], {"table_name": "both"}),
        "second": Resource([[{"b": "x"}, {"d": 1}, {"a": "no number"}]], {"table_name": "both"}),
    }
    columns, rows = both(resources, tmp_path)
    assert difference(columns, rows) is None


def test_a_table_name_that_depends_on_the_row_is_asked_for_with_each_row(tmp_path: Path) -> None:
    hints: dict[str, Any] = {"table_name": lambda row: f"kind_{row['id'] % 3}"}
    columns, rows = both({"t": Resource([ROWS, ROWS], hints)}, tmp_path)
    assert difference(columns, rows) is None
    assert {"kind_0", "kind_1", "kind_2"} <= columns.tables.keys()


def test_dlt_is_as_it_was_afterwards(tmp_path: Path) -> None:
    from dlt.common.data_writers import writers
    from dlt.extract import extract, storage
    from dlt.normalize import worker

    def parts() -> list[Any]:
        return [
            extract.PipeIterator,
            storage.ExtractorItemStorage,
            worker.JsonLItemsNormalizer,
            *writers.WRITER_SPECS.values(),
        ]

    before = parts()
    run({"t": Resource([ROWS])}, tmp_path / "run", "auto")
    assert parts() == before
    assert before[0] is PipeIterator


@pytest.mark.parametrize("in_pages", [False, True], ids=["one by one", "in pages"])
def test_rows_are_written_before_they_take_too_much_memory(
    in_pages: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    of = ColumnChunk.of

    def recorded(rows: Any) -> ColumnChunk:
        sizes.append(len(rows))
        return of(rows)

    monkeypatch.setattr(ColumnChunk, "of", recorded)
    wide = [{"id": number, "text": f"{number:010d}" * 1000} for number in range(4000)]

    def rows() -> Iterator[Any]:
        if in_pages:
            yield from (wide[start : start + 500] for start in range(0, 4000, 500))
        else:
            yield from wide

    run({"t": Resource([[None]], items=lambda _items: rows)}, tmp_path / "run", "auto")
    assert sum(size for size in sizes if size > 1) == 4000
    assert max(sizes) * 10_000 < 2 * chunk_files.BUFFER_BYTES


def test_rows_lists_and_tables_of_one_source_without_steps_keep_their_order(tmp_path: Path) -> None:
    def make() -> Any:
        @dlt.resource(name="t")
        def rows() -> Iterator[Any]:
            for number in range(0, 600, 6):
                yield {"id": number}
                yield {"id": number + 1}
                yield [{"id": number + 2}, {"id": number + 3}]
                yield []
                yield {"id": number + 4}
                yield dlt.mark.with_table_name({"id": number + 5}, "other")

        return rows

    columns, _ = _same(make, tmp_path)
    assert len(columns.contents["t"][1][0]) == 500
    assert len(columns.contents["other"][1][0]) == 100


def test_a_source_without_steps_is_asked_for_few_rows_while_they_come_slowly() -> None:
    resource = dlt.resource([{"id": 0}], name="t")
    asked: list[int] = []
    now = [0.0]

    def rows() -> Iterator[Any]:
        for number in range(100):
            now[0] += 0.4
            asked.append(number)
            yield {"id": number}

    lists = row_lists._RowLists(resource._pipe, resource, rows(), 50_000, defers_sets=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_lists.time, "monotonic", lambda: now[0])
        lists._since = 0.0
        handed_on = [len(item.item) for item in lists.run()]
    # Every list is handed on when it is a second old, which is three rows at this pace.
    assert sum(handed_on) == 100
    assert max(handed_on) <= 3


def test_a_source_that_fails_says_so_whatever_rows_were_taken_together_before(tmp_path: Path) -> None:
    def make() -> Any:
        @dlt.resource(name="t")
        def rows() -> Iterator[Any]:
            yield from ROWS
            raise ValueError("the server is gone")

        return rows

    columns, rows = both({"t": Resource([[None]], items=lambda _items: make())}, tmp_path)
    assert columns.error == rows.error == "ValueError: the server is gone"
