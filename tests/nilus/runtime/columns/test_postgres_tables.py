"""Rows that PostgreSQL takes by column make the tables that INSERT statements, dlt's own way, make of them."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from both_ways import Resource, Seen, both, difference, run
from compared_resources import compare
from postgres_both_ways import PostgresBothWays
from resource_cases import BY_COLUMN, NOON, ONE_BY_ONE, hinted

from nilus.runtime.columns.batching import AUTO, OFF

TEXTS = ["", "\\N", "\\.", 'a\n\\.\n"b', '"', '""', "a,b", "\r", "\r\n", "\n", "NULL", "null", " ", "\\", "\t"]

OWN: dict[str, Resource] = {
    "decimals_with_more_places_than_the_column": Resource(
        [[{"v": Decimal("0.1234567895")}, {"v": Decimal("-0.1234567895")}, {"v": Decimal("1E-12")}]]
    ),
    "decimals_and_whole_numbers_in_a_narrow_column": Resource(
        [[{"v": Decimal("1.005")}, {"v": 2}, {"v": 2.675}, {"v": "3.14159"}, {"v": Decimal("1E+3")}]],
        hinted({"v": {"data_type": "decimal", "precision": 10, "scale": 2}}),
    ),
    "decimals_of_a_precision_alone": Resource(
        [[{"v": Decimal("1.5")}, {"v": Decimal("2.5")}]], hinted({"v": {"data_type": "decimal", "precision": 10}})
    ),
    "wide_whole_numbers": Resource(
        [[{"v": Decimal(2**70), "w": Decimal(-(2**200))}, {"v": 1, "w": 2}]],
        hinted({"v": {"data_type": "decimal", "precision": 38, "scale": 0}, "w": {"data_type": "wei"}}),
    ),
    "wei": Resource([[{"v": Decimal(10**30)}, {"v": Decimal("1.5")}, {"v": 1}]], hinted({"v": {"data_type": "wei"}})),
    "timestamps_are_rounded": Resource(
        [[{"m": at, "s": at, "n": at} for at in (datetime(2026, 1, 1, 1, 2, 3, 456789, UTC), NOON)]],
        hinted(
            {
                "m": {"data_type": "timestamp", "precision": 3},
                "s": {"data_type": "timestamp", "precision": 0},
                "n": {"data_type": "timestamp", "precision": 3, "timezone": False},
            }
        ),
    ),
    "times_are_rounded": Resource(
        [[{"v": time(1, 2, 3, 456789)}, {"v": time(23, 59, 59, 999999)}]],
        hinted({"v": {"data_type": "time", "precision": 3}}),
    ),
    "the_first_and_the_last_years": Resource(
        [[{"v": datetime(1, 1, 1, tzinfo=UTC)}, {"v": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)}, {"v": None}]]
    ),
    "narrow_whole_numbers": Resource(
        [[{"a": 7, "b": -(2**31)}]],
        hinted({"a": {"data_type": "bigint", "precision": 8}, "b": {"data_type": "bigint", "precision": 32}}),
    ),
    "binary_of_a_given_length": Resource(
        [[{"v": b"abc"}, {"v": b"abcd"}, {"v": None}]], hinted({"v": {"data_type": "binary", "precision": 4}})
    ),
    "binary_with_empty_values": Resource(
        [[{"v": b"abc"}, {"v": b""}, {"v": None}, {"v": bytes(range(256))}]], hinted({"v": {"data_type": "binary"}})
    ),
    "texts_that_copy_could_take_for_something_else": Resource(
        [[{"v": text, "w": text} for text in TEXTS] + [{"v": None, "w": "x"}]]
    ),
    "texts_of_a_given_length": Resource([[{"v": "abc"}]], hinted({"v": {"data_type": "text", "precision": 3}})),
    "zero_with_a_sign": Resource([[{"v": -0.0, "w": Decimal("-0.0")}, {"v": 1.5}, {"v": 5e-324}, {"v": 1.7e308}]]),
    "a_table_that_is_replaced_by_nothing": Resource([[{"id": 1}], []], {"write_disposition": "replace"}),
    "nested_tables_that_are_merged": Resource(
        [
            [{"id": 1, "l": [{"x": Decimal("0.12345678951")}, {"x": 2}]}, {"id": 2, "l": []}],
            [{"id": 1, "l": [{"x": -0.0}]}],
        ],
        {"max_table_nesting": 2, "write_disposition": "merge", "primary_key": "id"},
    ),
    "a_second_type_of_a_decimal": Resource(
        [[{"v": Decimal("1.00000000005")}, {"v": "x"}, {"v": Decimal("2.5")}], [{"v": -0.0, "w": Decimal("0.5")}]]
    ),
}


NAMED = {**BY_COLUMN, **{name: resource for name, (_, resource) in ONE_BY_ONE.items()}, **OWN}
RUNS = max(len(resource.runs) for resource in NAMED.values())
FILLED = {
    name: dataclasses.replace(resource, runs=[*resource.runs, *[[]] * (RUNS - len(resource.runs))])
    for name, resource in NAMED.items()
}


@pytest.fixture(scope="module")
def ways(postgres: Any) -> Any:
    """A database both ways go into."""
    url = postgres.create_database()
    yield PostgresBothWays(url)
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def all_at_once(ways: PostgresBothWays, tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Seen]:
    """Every case in one source, both ways."""
    columns, rows = both(FILLED, tmp_path_factory.mktemp("both"), sink=ways)
    assert (columns.error, rows.error) == (None, None)
    return columns, rows


@pytest.mark.parametrize("name", NAMED)
def test_what_postgres_takes_by_column_makes_the_same_table(name: str, all_at_once: tuple[Seen, Seen]) -> None:
    columns, rows = all_at_once
    assert name in columns.contents
    assert columns.of(name) == rows.of(name)


def test_the_whole_schema_and_the_state_are_the_same_on_postgres(
    ways: PostgresBothWays, all_at_once: tuple[Seen, Seen]
) -> None:
    assert difference(*all_at_once, sink=ways) is None


def test_rows_that_are_not_batched_make_the_same_tables_through_our_files(
    ways: PostgresBothWays, all_at_once: tuple[Seen, Seen], tmp_path: Path
) -> None:
    own = PostgresBothWays(ways.url, ours=(AUTO, OFF))
    seen = run(FILLED, tmp_path / "off", OFF, sink=own)
    assert seen.error is None
    assert difference(seen, all_at_once[1], sink=own) is None


@pytest.mark.parametrize(
    ("rows", "hints", "said"),
    [
        ([{"v": 2**63}], {}, "too large|out of range"),
        ([{"v": 70000}], hinted({"v": {"data_type": "bigint", "precision": 16}}), "out of range"),
        ([{"v": Decimal("1E+40")}], {}, "numeric field overflow"),
        ([{"v": "abcd"}], hinted({"v": {"data_type": "text", "precision": 3}}), "value too long for type"),
        ([{"v": {"a": "\0"}}], {}, r"U\+0000|unsupported Unicode escape sequence"),
        ([{"v": 1}, {"v": None}], hinted({"v": {"nullable": False}}), "column `v` which is not nullable"),
        ([{"v": 1}, {"v": 1}], hinted({"v": {"unique": True}}), 'unique constraint "t_v_key"'),
        ([{"v": 1}], hinted({"v": {"data_type": "bigint", "precision": 128}}), "can't be mapped"),
        ([{"v": NOON}], hinted({"v": {"data_type": "timestamp", "precision": 9}}), "timestamp column `v`"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode(),
)
def test_what_postgres_refuses_in_insert_statements_is_refused(
    rows: Any, hints: dict[str, Any], said: str, ways: PostgresBothWays, tmp_path: Path
) -> None:
    for seen in both({"t": Resource([rows], hints)}, tmp_path, sink=ways):
        assert re.search(said, str(seen.error))


# A hundred in every run of the tests, a thousand in the long runs: what the server does differently is in the cases.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", [pytest.param(part, marks=[pytest.mark.soak] if part else []) for part in range(10)])
def test_generated_resources_make_the_same_tables_on_postgres(
    part: int, ways: PostgresBothWays, memory_folder: Path
) -> None:
    comparison = compare(90_000 + part, 100, memory_folder, ways)
    # What both ways refuse, or take one by one, is compared less closely.
    assert comparison.refused < 100 / 10
    assert comparison.by_column > 100 / 4
