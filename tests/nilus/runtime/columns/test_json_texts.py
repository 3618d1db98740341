"""The JSON of many values is that of each of them."""

from __future__ import annotations

import secrets
from functools import reduce
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nilus.runtime.columns.json_texts import json_texts

MARK = "0123456789abcdef"
_LEAVES = (
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from([MARK, f'"{MARK}"', "null", ",", "[", '"'])
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just(MARK), inner, max_size=3)
)


def one_by_one(values: list[Any]) -> list[bytes | None]:
    return [None if value is None else orjson.dumps(value) for value in values]


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(_VALUES, max_size=8))
def test_they_are_the_same_as_one_by_one_also_where_values_hold_the_mark_between_them(values: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_hex", lambda _bytes: MARK)
        assert json_texts(values, orjson.dumps) == one_by_one(values)


def test_a_value_may_be_as_deep_as_if_it_were_alone() -> None:
    def nested(levels: int) -> Any:
        return reduce(lambda inner, _: {"inner": inner}, range(levels), {})

    deepest = next(levels for levels in range(200, 300) if not writable(nested(levels))) - 1
    assert json_texts([nested(1), nested(deepest)], orjson.dumps) == one_by_one([nested(1), nested(deepest)])
    with pytest.raises(TypeError):
        json_texts([nested(1), nested(deepest + 1)], orjson.dumps)


def writable(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True
