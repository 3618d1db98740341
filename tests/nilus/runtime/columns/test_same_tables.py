"""Rows taken by column make the tables that dlt makes of them one by one: each thing that could differ, by its name."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import both_ways
import dlt
import pytest
from both_ways import Resource, Seen, both, difference
from resource_cases import BY_COLUMN, MERGE, NOON, ONE_BY_ONE, hinted


class Thing:
    """No value; its text is the same in every process that collects these tests."""

    def __repr__(self):
        return "Thing()"


@pytest.fixture(scope="module")
def all_at_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Seen]:
    """Every resource above, in one source, both ways."""
    resources = {**BY_COLUMN, **{name: resource for name, (_, resource) in ONE_BY_ONE.items()}}
    runs = max(len(resource.runs) for resource in resources.values())
    filled = {
        name: dataclasses.replace(resource, runs=[*resource.runs, *[[]] * (runs - len(resource.runs))])
        for name, resource in resources.items()
    }
    columns, rows = both(filled, tmp_path_factory.mktemp("both"))
    assert (columns.error, rows.error) == (None, None)
    return columns, rows


@pytest.mark.parametrize("name", BY_COLUMN)
def test_what_is_taken_by_column_makes_the_same_table(name: str, all_at_once: tuple[Seen, Seen]) -> None:
    columns, rows = all_at_once
    assert name in columns.tables
    assert columns.of(name) == rows.of(name)
    assert columns.reasons(name) == []


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_what_has_to_be_taken_one_by_one_makes_the_same_table_and_the_log_says_why_once(
    name: str, all_at_once: tuple[Seen, Seen]
) -> None:
    columns, rows = all_at_once
    assert columns.of(name) == rows.of(name)
    reasons = columns.reasons(name)
    assert any(ONE_BY_ONE[name][0] in reason for reason in reasons), columns.log


def test_the_whole_schema_and_the_state_are_the_same(all_at_once: tuple[Seen, Seen]) -> None:
    assert difference(*all_at_once) is None


@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_rows_that_are_written_in_small_parts_make_the_same_tables(page_size: int, tmp_path: Path) -> None:
    several = {
        name: resource
        for name, resource in BY_COLUMN.items()
        if name
        in ("a_column_that_comes_later", "a_column_whose_first_values_are_none", "pages", "keys_in_another_order")
    }
    drifting = {
        "drifts": Resource([[{"v": 1}, {"v": 2}, {"v": "x"}, {"v": 3, "w": 1}, {"v": 4, "u": "y"}, {"u": 7}]]),
        "late": Resource([[{"a": None}, {"a": None}, {"b": 1}, {"a": "2026-01-01T00:00:00Z"}, {"a": "no"}]]),
    }
    resources = {
        name: dataclasses.replace(resource, runs=resource.runs[:1])
        for name, resource in {**several, **drifting}.items()
    }
    columns, rows = both(resources, tmp_path, page_size=page_size)
    assert difference(columns, rows) is None


def test_ids_have_the_form_that_dlt_draws_and_no_two_are_the_same(tmp_path: Path) -> None:
    resources = {"t": Resource([[{"v": number} for number in range(3000)]])}
    both_ways.run(resources, tmp_path / "run", "auto")
    found = both_ways.ids(tmp_path / "run" / "sink.duckdb", "t")
    assert len(set(found)) == 3000
    assert all(map(both_ways.is_random_id, found))


@pytest.mark.parametrize("strategy", ["scd2", "upsert", "insert-only"])
def test_ids_that_are_made_of_values_are_the_same(strategy: str, tmp_path: Path) -> None:
    rows = [{"id": number, "v": f"x{number}", "at": NOON, "d": Decimal("1.50")} for number in range(5)]
    hints: dict[str, Any] = {"write_disposition": {"disposition": "merge", "strategy": strategy}, "primary_key": "id"}
    both({"t": Resource([rows], hints)}, tmp_path)
    by_column, one_by_one = (both_ways.ids(tmp_path / way / "sink.duckdb", "t") for way in ("columns", "rows"))
    assert by_column == one_by_one


@pytest.mark.parametrize(
    ("rows", "hints"),
    [
        ([{"v": 2**70}], {}),
        ([{"v": 2**63}], {}),
        ([{"v": 1}, {"v": Thing()}], {}),
        ([{"v": "\ud800"}], {}),
        ([{"v": 1}, {"v": None}], hinted({"v": {"nullable": False}})),
        ([{"v": 1}, {"w": 2}], hinted({"v": {"nullable": False}})),
        ([{"v": Decimal("0.12345678901")}], {}),
        ([{"v": 70000}], hinted({"v": {"data_type": "bigint", "precision": 16}})),
        ([{"v": 1}], {**MERGE}),
        ([{"id": 1}, {"id": "x"}], {"schema_contract": {"data_type": "freeze"}}),
        ([{"id": 1}, {"id": 2}, {"cursor": 3}], {"incremental": dlt.sources.incremental("cursor")}),
        ([{"v": timedelta(1)}], {}),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode(),
)
def test_what_dlt_refuses_is_refused_in_the_same_words(rows: Any, hints: dict[str, Any], tmp_path: Path) -> None:
    columns, one_by_one = both({"t": Resource([rows], hints)}, tmp_path)
    assert one_by_one.error is not None
    assert columns.error == one_by_one.error
    assert difference(columns, one_by_one) is None


def test_ids_of_the_source_s_own_that_are_no_texts_fail_in_the_same_words_when_they_are_missing(tmp_path: Path) -> None:
    columns, one_by_one = both({"t": Resource([[{"_dlt_id": -6.5}], [{}]])}, tmp_path)
    assert one_by_one.error is not None
    assert columns.error == one_by_one.error


def test_type_detections_and_preferred_types_of_the_schema_are_dlt_s(tmp_path: Path) -> None:
    def setup(source: Any) -> None:
        source.schema.add_type_detection("iso_date")
        source.schema.add_type_detection("timestamp")
        source.schema.add_type_detection("large_integer")
        source.schema.update_preferred_types({"hinted": "double", "re:^num_": "decimal"})

    rows = [
        {"day": "2026-01-01", "at": 1_780_000_000, "wide": 2**63, "hinted": 7, "num_a": "1.5"},
        {"day": "2026-01-02", "at": 1_780_000_001, "wide": 5, "hinted": "8.5", "num_a": 3},
    ]
    columns, one_by_one = both({"t": Resource([rows, rows])}, tmp_path, setup=setup)
    assert columns.error is None
    assert difference(columns, one_by_one) is None


def test_columns_that_the_schema_leaves_out_are_left_out(tmp_path: Path) -> None:
    def setup(source: Any) -> None:
        source.schema._settings.setdefault("default_hints", {})
        source.schema.tables["t"] = {
            "name": "t",
            "columns": {},
            "filters": {"excludes": ["re:^secret"], "includes": []},
            "resource": "t",
        }
        source.schema._compile_settings()

    columns, rows = both({"t": Resource([[{"id": 1, "secret_a": 2}]])}, tmp_path, setup=setup)
    assert difference(columns, rows) is None


def test_off_is_dlt_s_own_way(tmp_path: Path) -> None:
    seen = both_ways.run({"t": Resource([[{"v": 1}, {"v": "x"}]])}, tmp_path / "run", "off")
    assert (seen.error, seen.log) == (None, [])
