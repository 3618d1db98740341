"""Rows taken by column make the tables that dlt makes of them one by one: each thing that could differ, by its name."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import both_ways
import dlt
import pendulum
import pydantic
import pytest
from both_ways import Resource, Seen, both, difference


class Thing:
    """No value; its text is the same in every process that collects these tests."""

    def __repr__(self):
        return "Thing()"


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Order(pydantic.BaseModel):
    id: int
    name: str | None = None


def _hinted(columns: dict[str, Any], **hints: Any) -> dict[str, Any]:
    return {"columns": columns, **hints}


MERGE = {"write_disposition": "merge", "primary_key": "id"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

BY_COLUMN: dict[str, Resource] = {
    "plain_types": Resource(
        [
            [
                {"i": 1, "f": 1.5, "b": True, "t": "x", "at": NOON, "d": date(2026, 1, 1), "n": Decimal("1.50")},
                {"i": 2, "f": 2.0, "b": False, "t": "", "at": NOON, "d": date(2026, 1, 2), "n": Decimal("-7")},
            ]
        ]
    ),
    "a_column_that_comes_later": Resource(
        [[{"a": 1}, {"a": 2, "b": "x"}, {"c": 1.5, "a": 3}], [{"d": True, "b": "y"}]]
    ),
    "a_column_whose_first_values_are_none": Resource([[{"a": None, "b": 1}, {"a": None, "b": 2}, {"a": 3, "b": None}]]),
    "a_column_that_is_always_none": Resource([[{"a": None, "b": 1}], [{"a": None, "b": 2}], [{"a": "x", "b": 3}]]),
    "rows_without_any_value": Resource([[{"a": 1}, {}, {"a": None}]]),
    "keys_in_another_order": Resource([[{"a": None, "b": None}, {"b": 1, "a": None}, {"c": 1, "a": 1}]]),
    "whole_numbers_in_a_column_of_floats": Resource([[{"v": 1.5}, {"v": 2}], [{"v": 2**53 + 1}]]),
    "whole_floats_in_a_column_of_integers": Resource([[{"v": 1}, {"v": 2.0}], [{"v": 3.0}]]),
    "the_widest_integers": Resource([[{"v": 2**63 - 1}, {"v": -(2**63)}]]),
    "nan_and_infinity_are_null": Resource(
        [[{"v": 1.0}, {"v": float("nan")}, {"v": float("inf")}], [{"v": float("-inf")}]]
    ),
    "a_column_that_begins_with_nan": Resource([[{"v": float("nan"), "w": 1}, {"v": 2.5}]]),
    "nothing_but_nan": Resource([[{"v": float("nan"), "w": 1}]]),
    "timestamps_as_text_in_utc": Resource([[{"v": "2026-01-01T10:00:00Z"}, {"v": "2026-01-01T10:00:00.123Z"}]]),
    "timestamps_as_text_with_offsets": Resource(
        [[{"v": "2026-01-01T10:00:00+02:00"}, {"v": "2026-07-01 10:00:00-09:30"}]]
    ),
    "timestamps_as_text_without_offset": Resource([[{"v": "2026-01-01T10:00:00"}, {"v": "2026-01-01 10:00:00.5"}]]),
    "timestamps_as_text_of_every_kind": Resource(
        [
            [{"v": "2026-01-01T10:00:00Z"}, {"v": "2026-01-01"}, {"v": "20260101T100000Z"}, {"v": None}],
            [{"v": "2026-01-01T10:00"}, {"v": "2026-01-01T10:00:00.1234567Z"}, {"v": "2026-01-01T10:00:00+0200"}],
        ]
    ),
    "timestamps_in_several_zones": Resource(
        [
            [
                {"v": NOON.astimezone(BERLIN)},
                {"v": NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30)))},
                {"v": NOON},
            ]
        ]
    ),
    "naive_timestamps": Resource([[{"v": datetime(2026, 3, 1, 12)}, {"v": None}]]),
    "naive_and_aware_timestamps": Resource([[{"v": datetime(2026, 3, 1, 12)}, {"v": NOON}]]),
    "the_hour_that_comes_twice": Resource(
        [
            [
                {"v": datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)},
                {"v": datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)},
            ]
        ]
    ),
    "pendulum_s_types": Resource([[{"v": pendulum.datetime(2026, 1, 1), "d": pendulum.date(2026, 1, 1)}]]),
    "dates_as_text_stay_text": Resource([[{"v": "2026-01-01"}, {"v": "x"}]]),
    "times": Resource([[{"v": time(1, 2, 3, 4)}, {"v": time(23)}]]),
    "times_with_an_offset": Resource([[{"v": time(1, 2, tzinfo=timezone(timedelta(hours=2)))}]]),
    "decimals": Resource([[{"v": Decimal("1.5")}, {"v": Decimal("1E+3")}, {"v": Decimal("0.123456789")}]]),
    "decimals_of_a_given_precision": Resource(
        [[{"v": Decimal("1.5")}, {"v": 2}, {"v": 2.25}]],
        _hinted({"v": {"data_type": "decimal", "precision": 10, "scale": 2}}),
    ),
    "binary": Resource([[{"v": b"abc"}, {"v": b"\x00\xff"}]]),
    "uuids_and_enums_are_texts": Resource([[{"u": uuid.UUID(int=7), "e": Colour.RED}]]),
    "sets_are_lists": Resource([[{"v": {3, 1, 2}}, {"v": frozenset()}]]),
    "tuples_are_lists": Resource([[{"v": (1, "x")}]]),
    "dataclasses_are_json": Resource([[{"v": Point(1, 2)}]]),
    "nested_json": Resource([[{"v": {"b": [1, {"c": None}], "a": "é"}}, {"v": {}}, {"v": [1, 2]}]]),
    "nested_values_that_json_does_not_know": Resource(
        [
            [
                {
                    "v": {
                        "d": Decimal("1.50"),
                        "t": NOON,
                        "n": datetime(2026, 1, 1),
                        "u": uuid.UUID(int=7),
                        "s": {2, 1},
                        "b": b"x",
                    }
                }
            ]
        ]
    ),
    "nested_keys_that_are_numbers": Resource([[{"v": {1: "a", "1": "b", 2: "c"}}]]),
    "nan_in_nested_values": Resource([[{"v": {"x": float("nan"), "y": [float("inf")]}}]]),
    "text_in_a_column_of_json": Resource([[{"v": {"a": 1}}, {"v": "[1, 2]"}]]),
    "names_that_are_changed": Resource([[{"User Name": 1, "createdAt": 2, "ÄÖ": 3, "1st": 4, "n" * 90: 5, "x-y": 6}]]),
    "names_that_are_empty": Resource([[{"": 1, "b": 2}], [{" ": 3}]]),
    "names_of_sql": Resource([[{"select": 1, "table": "x", "order by": 2.5}]]),
    "hinted_types": Resource(
        [[{"i": "7", "f": "1.5", "t": 9, "b": "yes", "d": "2026-01-01", "j": {"a": 1}}]],
        _hinted(
            {
                "i": {"data_type": "bigint"},
                "f": {"data_type": "double"},
                "t": {"data_type": "text"},
                "b": {"data_type": "bool"},
                "d": {"data_type": "date"},
                "j": {"data_type": "json"},
            }
        ),
    ),
    "hinted_columns_come_first": Resource(
        [[{"a": 1, "z": 2}]], _hinted({"z": {"data_type": "bigint"}, "y": {"data_type": "text"}})
    ),
    "hints_without_a_type": Resource([[{"a": 1, "z": 2}]], _hinted({"z": {"description": "last", "nullable": False}})),
    "timestamps_without_a_zone": Resource(
        [[{"v": "2026-01-01T10:00:00+02:00"}, {"v": NOON.astimezone(BERLIN)}], [{"v": datetime(2026, 1, 1)}]],
        _hinted({"v": {"data_type": "timestamp", "timezone": False}}),
    ),
    "timestamps_of_a_given_precision": Resource(
        [[{"v": datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)}]],
        _hinted({"v": {"data_type": "timestamp", "precision": 3}}),
    ),
    "integers_of_a_given_precision": Resource([[{"v": 7}]], _hinted({"v": {"data_type": "bigint", "precision": 16}})),
    "columns_that_have_to_have_a_value": Resource([[{"v": 7}]], _hinted({"v": {"nullable": False}})),
    "merge_by_key": Resource([[{"id": 1, "v": 1}, {"id": 2, "v": 2}], [{"id": 2, "v": 5}, {"id": 3, "v": 6}]], MERGE),
    "merge_of_the_same_key_twice": Resource(
        [[{"id": 1, "v": 1}, {"id": 1, "v": 2}]], {**MERGE, "columns": {"v": {"dedup_sort": "desc"}}}
    ),
    "delete_by_hint": Resource(
        [[{"id": 1, "gone": False}, {"id": 2, "gone": False}], [{"id": 1, "gone": True}]],
        {**MERGE, "columns": {"gone": {"hard_delete": True}}},
    ),
    "replace": Resource([[{"id": 1}, {"id": 2}], [{"id": 3, "v": "x"}]], {"write_disposition": "replace"}),
    "a_run_without_rows": Resource([[{"id": 1}], [], [{"id": 2}]], {"write_disposition": "replace"}),
    "a_cursor_and_its_deduplication": Resource(
        [[{"id": 1}, {"id": 2}, {"id": 2}], [{"id": 2}, {"id": 2, "v": "new"}, {"id": 3}]],
        {"incremental": dlt.sources.incremental("id")},
    ),
    "pages": Resource([[[{"a": 1}, {"a": 2}], {"a": 3}, [], [{"b": 4}]]]),
    "rows_mapped_and_filtered": Resource(
        [[{"a": 1}, {"a": 2}, {"a": 3}]],
        steps=lambda resource: resource.add_map(lambda row: {**row, "b": row["a"] * 2}).add_filter(
            lambda row: row["a"] != 2
        ),
    ),
    "a_limit_of_pages": Resource(
        [[[{"a": 1}, {"a": 2}], [{"a": 3}], [{"a": 4}]]], steps=lambda resource: resource.add_limit(2)
    ),
    "rows_that_a_model_has_checked": Resource([[{"id": "1"}, {"id": 2, "name": "x"}]], {"columns": Order}),
    "a_model_of_the_columns_and_a_contract": Resource(
        [[{"id": 1, "name": "x"}]], {"columns": Order, "schema_contract": {"columns": "freeze"}}
    ),
    "columns_that_a_contract_leaves_out_from_the_second_run_on": Resource(
        [[{"id": 1}]], {"schema_contract": {"columns": "discard_value"}}
    ),
    "more_rows_than_one_list": Resource(
        [[{"id": number, "t": f"row {number}", "n": {"x": number}} for number in range(5000)]]
    ),
    "floats_that_are_almost_whole": Resource([[{"v": 1e16}, {"v": -0.0}, {"v": 5e-324}, {"v": 0.1 + 0.2}]]),
    "texts_of_all_planes": Resource(
        [[{"v": "a\u0000b".replace("\u0000", "")}, {"v": "😀é\n\t\"'\\"}, {"v": "\u2028"}]]
    ),
}

ONE_BY_ONE: dict[str, tuple[str, Resource]] = {
    "a_type_that_changes_within_a_run": (
        "values of type str",
        Resource([[{"v": 1}, {"v": "x"}, {"w": 1}], [{"v": "y"}]]),
    ),
    "a_type_that_changes_between_runs": ("values of type float", Resource([[{"v": 1}], [{"v": 2.5}], [{"v": 3}]])),
    "a_variant_before_a_new_column": (
        "values of type str",
        Resource([[{"a": 1}, {"a": "x"}, {"a": 2, "b": 3}, {"b": "y", "c": 1}]]),
    ),
    "a_text_that_is_no_timestamp": ("values of type str", Resource([[{"v": "2026-01-01T10:00:00Z"}, {"v": "soon"}]])),
    "two_keys_of_one_column": ("two keys", Resource([[{"User Name": 1, "user_name": 2, "userName": 3}]])),
    "a_column_of_dlt_s_own_name": ("dlt's own", Resource([[{"_dlt_id": "x", "v": 1}, {"_dlt_load_id": "y"}]])),
    "marked_texts": ("marks types", Resource([[{"v": "\uf0261.50"}, {"v": "x"}], [{"v": "\uf027no date"}]])),
    "marked_nested_texts": ("marks types", Resource([[{"v": {"a": "\uf026no number", "b": "\uf0261.5"}}]])),
    "nested_tables": (
        "max-table-nesting",
        Resource([[{"id": 1, "v": {"a": 1}, "l": [{"x": 1}, {"x": 2, "deep": [1]}]}]], {"max_table_nesting": 2}),
    ),
    "slowly_changing_dimensions": (
        "scd2",
        Resource(
            [[{"id": 1, "v": 1}, {"id": 2, "v": 2}], [{"id": 2, "v": 5}]],
            {"write_disposition": {"disposition": "merge", "strategy": "scd2"}},
        ),
    ),
    "upserts": (
        "upsert",
        Resource(
            [[{"id": 1, "v": 1}], [{"id": 1, "v": 5}]],
            {"write_disposition": {"disposition": "merge", "strategy": "upsert"}, "primary_key": "id"},
        ),
    ),
    "rows_that_a_contract_discards": (
        "contract",
        Resource([[{"id": 1}], [{"id": 2, "v": 1}, {"id": 3}]], {"schema_contract": {"columns": "discard_row"}}),
    ),
    "values_that_a_contract_discards": (
        "contract",
        Resource([[{"id": 1}], [{"id": 2, "v": 1}, {"id": 3}]], {"schema_contract": {"columns": "discard_value"}}),
    ),
    "types_that_a_contract_discards": (
        "values of type str",
        Resource([[{"id": 1}], [{"id": "x"}, {"id": 3}]], {"schema_contract": {"data_type": "discard_value"}}),
    ),
    "rows_that_are_no_dicts": ("not dicts", Resource([[{"id": 1}, 7, "x"]])),
    "an_empty_binary_value": ("values of type str", Resource([[{"v": b"x"}, {"v": b""}]])),
}


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
        ([{"v": 1}, {"v": None}], _hinted({"v": {"nullable": False}})),
        ([{"v": 1}, {"w": 2}], _hinted({"v": {"nullable": False}})),
        ([{"v": Decimal("0.12345678901")}], {}),
        ([{"v": 70000}], _hinted({"v": {"data_type": "bigint", "precision": 16}})),
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
