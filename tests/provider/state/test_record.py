"""The record: versioned, validated, bounded."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nilus.state.record import Record
from nilus.errors import StateError

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def _advance(record: Record, number: int, state: dict | None = None) -> Record:
    return record.advance(
        run_id=f"run-{number}",
        run_type="scheduled",
        commit="c" * 40,
        load_ids=[str(number)],
        rows={"users": number},
        state=state if state is not None else {"source": {"last": number}},
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_new_record_is_empty_and_has_version_zero():
    record = Record(key="dag.task")
    assert (record.state, record.version, record.history) == ({}, 0, ())


def test_advancing_makes_a_new_head_and_keeps_the_old_one_as_newest_of_the_history():
    record = _advance(_advance(Record(key="k"), 1), 2)
    assert record.version == 2
    assert record.state == {"source": {"last": 2}}
    assert [commit.run_id for commit in record.history] == ["run-1"]


@given(state=st.dictionaries(st.text(), _JSON, max_size=4), key=st.text(min_size=1))
def test_any_json_state_and_any_key_come_back_as_they_were(state, key):
    record = _advance(Record(key=key), 1, state)
    assert Record.from_json(record.to_json(), key=key) == record


def test_the_oldest_commits_are_dropped_first_when_there_are_too_many():
    record = Record(key="k")
    for number in range(1, 61):
        record = _advance(record, number)
    kept = Record.from_json(record.to_json(max_commits=50), key="k")
    assert kept.version == 60
    assert [commit.version for commit in kept.history] == list(range(59, 10, -1))


def test_the_oldest_commits_are_dropped_first_when_they_are_too_large():
    record = Record(key="k")
    for number in range(1, 11):
        record = _advance(record, number, {"source": {"blob": "x" * 1000}})
    text = record.to_json(max_bytes=5_000)
    kept = Record.from_json(text, key="k")
    assert len(text) <= 5_000
    assert kept.version == 10
    assert [commit.version for commit in kept.history] == [9, 8, 7][: len(kept.history)]
    assert kept.history


def test_the_head_is_never_dropped_however_large_it_is():
    record = _advance(_advance(Record(key="k"), 1), 2, {"source": {"blob": "x" * 100_000}})
    kept = Record.from_json(record.to_json(max_bytes=1_000), key="k")
    assert kept.version == 2
    assert kept.history == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("nonsense", "not JSON"),
        ("[]", "JSON list"),
        ("{}", "format None"),
        ('{"format": 2, "key": "k", "head": null, "history": []}', "format 2"),
        ('{"format": 1, "key": "other", "head": null, "history": []}', "'other'"),
        ('{"format": 1, "key": "k", "head": {"version": 1}, "history": []}', "head"),
        ('{"format": 1, "key": "k", "head": null, "history": [], "extra": 1}', "extra"),
    ],
)
def test_what_is_no_record_is_an_error_and_never_an_empty_state(text, says):
    with pytest.raises(StateError) as error:
        Record.from_json(text, key="k")
    assert says in str(error.value)
    assert error.value.remedy
    assert not error.value.retryable


def test_the_document_names_its_format():
    assert json.loads(_advance(Record(key="k"), 1).to_json())["format"] == 1
