"""Columns hold what dlt reads back of what it wrote, value by value, and become what dlt makes of each."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pytest
from dlt.common.data_types.type_helpers import coerce_value
from dlt.common.json import custom_pua_decode_nested, json
from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.schema import Schema
from dlt.common.time import normalize_timezone
from generated_resources import VALUES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nilus.runtime.columns.column_chunk import MAGIC, ColumnChunk
from nilus.runtime.columns.raw_column import NotRows, raw_column
from nilus.runtime.columns.row_ids import random_ids
from nilus.runtime.columns.typed_column import NotColumnar, Target, typed_column
from nilus.runtime.columns.typed_json import typed_json
from nilus.runtime.engine.internals import marks
from nilus.runtime.rows.steps.sets_to_lists import sets_to_lists


class Thing:
    """No value; its text is the same in every process that collects these tests."""

    def __repr__(self):
        return "Thing()"


_QUICK = settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
_KINDS = st.sampled_from(sorted(VALUES))
_COLUMNS = _KINDS.flatmap(lambda kind: st.lists(VALUES[kind] | st.none(), min_size=1, max_size=6))
_NORMALIZER = DataItemNormalizer(Schema("shop"))
_TWO = st.integers(0, 99).map("{:02d}".format)
_TIMESTAMPS = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["0000", "0001", "0999", "1000", "1970", "2024", "8999", "9999"]),
    st.integers(0, 13).map("{:02d}".format),
    st.integers(0, 32).map("{:02d}".format),
    st.sampled_from(["T", " ", "t", "  "]),
    st.integers(0, 25).map("{:02d}".format),
    st.integers(0, 61).map("{:02d}".format),
    st.integers(0, 61).map("{:02d}".format),
    st.sampled_from(["", "", ".", ".1", ".123", ".123456", ".1234567", ",5"]),
    st.sampled_from(
        ["", "", "Z", "Z", "z", "+00:00", "-00:00", "+02:00", "-09:30", "+14:00", "+15:00", "+0200", "+02"]
    ),
)


@pytest.fixture(autouse=True)
def _escapes():
    """Let dlt read what is escaped, as a run does."""
    with marks.escapes():
        yield


def _as_dlt_reads(value: Any) -> Any:
    return custom_pua_decode_nested(orjson.loads(typed_json(sets_to_lists(value))))


def _same(left: Any, right: Any) -> bool:
    return repr(left) == repr(right)


@_QUICK
@given(_COLUMNS)
def test_a_column_gives_back_what_dlt_reads_of_each_value(values: list[Any]) -> None:
    assert _same(raw_column(values).values(len(values)), _as_dlt_reads(values))


@_QUICK
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), VALUES["anything"] | st.none()), min_size=1, max_size=5
    )
)
def test_a_chunk_gives_back_the_rows_that_dlt_reads_also_from_a_file(rows: list[dict[str, Any]]) -> None:
    expected = orjson.loads(typed_json([sets_to_lists(row) for row in rows]))
    chunk = ColumnChunk.of(rows)
    file = io.BytesIO()
    chunk.write(file)
    file.seek(0)
    assert file.readline() == MAGIC
    read = ColumnChunk.read(file)
    assert file.read() == b""
    for one in (chunk, read):
        found, _ = one.typed_rows()
        assert _same(found, expected)
        assert [list(row) for row in found] == [list(row) for row in expected]


@_QUICK
@given(st.lists(_TIMESTAMPS, min_size=1, max_size=2))
def test_timestamps_in_text_are_the_instants_that_dlt_reads(texts: list[str]) -> None:
    target = Target({"name": "at", "data_type": "timestamp"}, pa.timestamp("us", "UTC"), True)
    try:
        expected: Any = [normalize_timezone(coerce_value("timestamp", "text", text), True) for text in texts]
    except (ValueError, SyntaxError, OverflowError):
        expected = None
    try:
        found = typed_column(raw_column(texts), len(texts), target, _NORMALIZER)
    except (NotColumnar, OverflowError):
        found = None
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert [moment.replace(tzinfo=UTC) for moment in found.to_pylist()] == expected


@_QUICK
@given(
    _COLUMNS,
    st.sampled_from(["text", "bigint", "double", "bool", "timestamp", "date", "decimal", "json", "binary", "time"]),
)
def test_a_column_of_a_type_holds_what_dlt_makes_of_each_value(values: list[Any], data_type: Any) -> None:
    types = {
        "text": pa.string(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
        "decimal": pa.decimal128(38, 9),
        "json": pa.string(),
        "binary": pa.binary(),
        "time": pa.time64("us"),
    }
    raw = raw_column(values)
    if raw.is_null:
        return
    target = Target({"name": "v", "data_type": data_type}, types[data_type], True)
    try:
        found = typed_column(raw, len(values), target, _NORMALIZER)
    except (NotColumnar, OverflowError):
        return
    assert found.type == types[data_type]
    assert _same(
        found.to_pylist(),
        pa.array([_coerced(value, data_type) for value in _as_dlt_reads(values)], types[data_type]).to_pylist(),
    )


def _coerced(value: Any, data_type: Any) -> Any:
    if value is None:
        return None
    found = _NORMALIZER.py_type_to_sc_type(type(value))
    if found != data_type:
        value = coerce_value(data_type, found, value)
    if isinstance(value, datetime) and data_type == "timestamp":
        return normalize_timezone(value, True)
    return json.dumps(value) if data_type == "json" and not isinstance(value, str) else value


@pytest.mark.parametrize(
    "rows", [[1], [{"a": 1}, None], [{1: 2}], [{"a": Thing()}], [{"a": 2**70}], [{"a": "\ud800"}]], ids=repr
)
def test_what_is_no_row_of_values_is_left_to_dlt(rows: list[Any]) -> None:
    with pytest.raises(NotRows):
        ColumnChunk.of(rows)


def test_sets_are_written_as_sorted_lists_at_any_depth() -> None:
    assert typed_json({"a": {3, 1, 2}, "b": [{"c": frozenset("ba")}]}) == b'{"a":[1,2,3],"b":[{"c":["a","b"]}]}'


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_ids_are_drawn_for_any_number_of_rows(rows: int) -> None:
    found = random_ids(rows)
    assert (len(found), found.type) == (rows, pa.string())
    assert len(set(found.to_pylist())) == rows
    assert all(len(one) == 14 for one in found.to_pylist())
