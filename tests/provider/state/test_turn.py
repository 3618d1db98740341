"""One run's turn at the record."""

from __future__ import annotations

import pytest

from airflow_provider_nilus.state import change
from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.record_session import RecordSession
from nilus.errors import StateError
from nilus.protocol.events import Adopted, Loaded


class MemoryStore:
    """Keeps records as text, as a real store does, and counts what is written."""

    def __init__(self):
        self.texts = {}
        self.writes = 0

    def read(self, key):
        return Record.from_json(self.texts[key], key=key) if key in self.texts else Record(key=key)

    def write(self, record):
        self.texts[record.key] = record.to_json()
        self.writes += 1


def _turn(store, run_id, *, on_rerun="replace", cleared=()):
    return RecordSession(
        store,
        "k",
        run_id=run_id,
        run_type="scheduled",
        commit="c" * 40,
        on_rerun=on_rerun,
        cleared=lambda runs: [run for run in runs if run in cleared],
    )


def _loaded(number, *, load_ids=None, keeps_state=True, reading="cursor"):
    return Loaded(
        load_ids=[f"{number}.0"] if load_ids is None else load_ids,
        tables={"t": {"rows": number, "write_disposition": "append"}},
        dataset="raw",
        destination="duckdb",
        reading=reading,
        keeps_state=keeps_state,
        state={"s": {"last": number}},
        seconds={},
    )


def _run(store, run_id, number, **arguments):
    turn = _turn(store, run_id, **arguments)
    begun = turn.begin()
    return begun, turn.commit(_loaded(number))


def test_the_record_is_written_once_a_run_and_only_after_its_load():
    store = MemoryStore()
    turn = _turn(store, "a")
    turn.begin()
    assert store.writes == 0
    assert turn.commit(_loaded(1)) == 1
    assert store.writes == 1


def test_a_run_that_keeps_no_state_writes_nothing():
    store = MemoryStore()
    turn = _turn(store, "a")
    turn.begin()
    assert turn.commit(_loaded(1, keeps_state=False, reading="windowed")) == 0
    assert store.writes == 0


def test_a_run_that_loads_nothing_leaves_the_record_alone():
    store = MemoryStore()
    _run(store, "a", 1)
    turn = _turn(store, "b")
    turn.begin()
    assert turn.commit(_loaded(2, load_ids=[])) == 1
    assert store.read("k").head.run_id == "a"


def test_a_run_again_replaces_its_commit_and_the_version_goes_on():
    store = MemoryStore()
    _run(store, "a", 1)
    _run(store, "b", 2)
    begun, version = _run(store, "b", 3)
    assert begun.replaces == ("2.0",)
    assert version == 3
    record = store.read("k")
    assert [commit.run_id for commit in (record.head, *record.history)] == ["b", "a"]
    assert record.state == {"s": {"last": 3}}


def test_a_run_again_that_loads_nothing_takes_its_commit_back_nevertheless():
    store = MemoryStore()
    _run(store, "a", 1)
    _run(store, "b", 2)
    turn = _turn(store, "b")
    turn.begin()
    assert turn.commit(_loaded(1, load_ids=[])) == 3
    record = store.read("k")
    assert record.head.load_ids == ()
    assert record.state == {"s": {"last": 1}}


def test_an_adopted_load_is_kept_at_once_and_the_run_s_own_commit_comes_upon_it():
    store = MemoryStore()
    _run(store, "a", 1)
    turn = _turn(store, "c")
    turn.begin()
    turn.adopt(Adopted(load_id="2.0", run_id="scheduled__b", commit="d" * 40, rows={"t": 2}, state={"s": {"last": 2}}))
    kept = store.read("k")
    assert (kept.version, kept.head.run_id, kept.head.run_type) == (2, "scheduled__b", "scheduled")
    assert turn.commit(_loaded(3)) == 3
    record = store.read("k")
    assert [commit.load_ids for commit in (record.head, *record.history)] == [("3.0",), ("2.0",), ("1.0",)]


def test_commits_that_are_made_again_are_taken_off_the_record_before_their_rows_go():
    store = MemoryStore()
    _run(store, "a", 1)
    _run(store, "b", 2)
    turn = _turn(store, "b")
    turn.begin()
    assert store.read("k").version == 2
    turn.take_back()
    kept = store.read("k")
    assert (kept.head.run_id, kept.directive.removes, kept.version) == ("a", ("2.0",), 2)
    assert turn.commit(_loaded(3)) == 3
    assert store.read("k").directive is None


def test_a_run_that_makes_nothing_again_takes_nothing_back():
    store = MemoryStore()
    _run(store, "a", 1)
    turn = _turn(store, "b")
    turn.begin()
    turn.take_back()
    assert store.writes == 1


def test_a_record_that_was_changed_during_the_run_is_not_overwritten():
    store = MemoryStore()
    _run(store, "a", 1)
    turn = _turn(store, "b")
    turn.begin()
    store.write(change.reset(store.read("k"), keep_rows=True))
    with pytest.raises(StateError, match="was changed while run b was loading"):
        turn.commit(_loaded(2))
    assert store.read("k").directive.verb == "reset"


def test_a_turn_begins_again_when_the_record_has_moved_but_not_for_ever():
    store = MemoryStore()
    turn = _turn(store, "b")
    for number in (1, 2, 3):
        turn.begin()
        assert not turn.has_moved([])
        _run(store, f"other-{number}", number)
        assert turn.has_moved([])
        assert turn.begins_again == (number < 3)
