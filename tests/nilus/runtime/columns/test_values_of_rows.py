"""Values that JSON has no type for, and texts that look like dlt's marks of types: by column and one by one."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
from both_ways import Resource, both, difference, values

from nilus.runtime.rows.steps.sets_to_lists import sets_to_lists

UTC = dt.UTC
NOON = dt.datetime(2024, 1, 31, 12, 30, tzinfo=UTC)
MARKS = [f"{chr(0xF026 + number)}{text}" for number, text in enumerate(["2.5", "2024-01-01", "aaaa", "0x00", "7", "1"])]
Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Point:
    """What a source may put into a row."""

    x: object
    y: object


class Model(pydantic.BaseModel):
    """What a source may put into a row."""

    tags: set[int]
    name: str


# The values of a column, and what the table has in order.
CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "nat": ([pd.NaT, NOON, pd.Timestamp(NOON)], [None, NOON, NOON]),
    "na": ([pd.NA, 5, np.int64(6), np.uint8(7)], [None, 5, 6, 7]),
    "only_missing_ones_and_a_text": ([pd.NaT, pd.NA, None, float("nan"), "x"], [None, None, None, None, "x"]),
    "numpy_floats": ([np.float64(1.5), np.float32(0.5), np.nan, 2.5], [1.5, 0.5, None, 2.5]),
    "numpy_booleans": ([np.bool_(True), False], [True, False]),
    "numpy_texts": ([np.str_("x"), "y"], ["x", "y"]),
    "numpy_dates": ([np.datetime64("2024-01-31"), np.datetime64("NaT")], [dt.date(2024, 1, 31), None]),
    "numpy_moments": ([np.datetime64("2024-01-31T12:30", "ns"), NOON], [NOON, NOON]),
    "numpy_arrays": ([np.array([1, 2]), [np.float64(0.5), pd.NaT]], ["[1,2]", "[0.5,null]"]),
    "decimals_that_are_no_number": (
        [Decimal("NaN"), Decimal("1.5"), Decimal("-Infinity")],
        [None, Decimal("1.500000000"), None],
    ),
    "texts_like_marks": (MARKS, MARKS),
    "a_text_like_an_escaped_mark": (["\uf02e\uf0262.5", "\uf02e", "\uf027", "x\uf0262.5"],) * 2,
    "texts_like_marks_beside_moments": ([NOON, "\uf0272024-01-01"], [NOON, None]),
    "nested_texts_like_marks": (
        [{"a": "\uf0262.5", "b": ["\uf02baaaa", Decimal("1.5")]}, [NOON, {"c": "\uf0272024-01-01"}]],
        ['{"a":"\uf0262.5","b":["\uf02baaaa","1.5"]}', '["2024-01-31T12:30:00+00:00",{"c":"\uf0272024-01-01"}]'],
    ),
    "empty_bytes": ([b"", b"x", None], [b"", b"x", None]),
    "empty_bytes_alone": ([b"", b""], [b"", b""]),
    "nested_empty_bytes": ([{"a": b""}], ['{"a":""}']),
    "sets_in_namedtuples": ([Pair({3, 1}, [{2}])], ['{"a":[1,3],"b":[[2]]}']),
    "sets_in_dataclasses": ([Point({3, 1}, Pair(1, frozenset("b")))], ['{"x":[1,3],"y":{"a":1,"b":["b"]}}']),
    "sets_in_models": ([Model(tags={2, 1}, name="\uf0262.5")], ['{"tags":[1,2],"name":"\uf0262.5"}']),
    "numbers_in_dataclasses": ([Point(np.int64(1), pd.NaT)], ['{"x":1,"y":null}']),
}


def _shown(value: Any) -> str:
    return repr(value.astimezone(UTC).isoformat() if isinstance(value, dt.datetime) else value)


def _column(seen: Any, table: str) -> list[str]:
    rows = [eval(text, {"datetime": dt, "Decimal": Decimal})[0] for text in values(seen, table)]
    return [_shown(dict(row).get("v")) for row in sorted(rows, key=lambda row: dict(row)["id"])]


@pytest.mark.parametrize("name", CASES)
def test_a_value_is_the_one_the_row_has_by_column_and_one_by_one(tmp_path: Path, name: str) -> None:
    given, expected = CASES[name]
    rows = [{"id": number, "v": value} for number, value in enumerate(given)]
    columns, one_by_one = both({"t": Resource([rows])}, tmp_path)
    assert columns.error is None
    assert difference(columns, one_by_one) is None
    for seen in (columns, one_by_one):
        seen.contents["t"] = (seen.contents["t"][0], _without_zones(seen.contents["t"][1]))
    assert _column(columns, "t") == [_shown(value) for value in expected]


def _without_zones(content: Any) -> Any:
    return (
        [text.replace("tzinfo=<StaticTzInfo 'Etc/UTC'>", "tzinfo=datetime.UTC") for text in content[0]],
        *content[1:],
    )


@pytest.mark.parametrize(
    "value",
    [
        pd.Timestamp("2024-01-01T00:00:00.000000001"),
        np.datetime64("2024-01-01T00:00:00.000000001"),
        np.datetime64("30000-01-01T00:00", "s"),
        np.longdouble("0.1234567890123456789"),
    ],
    ids=["pandas", "numpy", "a year out of range", "digits"],
)
def test_a_value_that_python_does_not_have_is_refused_with_its_column(tmp_path: Path, value: Any) -> None:
    row = {"id": 1, "v": value}
    for seen in both({"t": Resource([[row]])}, tmp_path):
        assert seen.failed == ["t"]
    with pytest.raises(ValueError, match=f"column 'v': {str(value)[:10]}"):
        sets_to_lists(row)
