"""Changes by hand, and what a run does with what they leave."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_nilus.state import change
from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.starting_point import start
from nilus.errors import StateError

AT = datetime(2026, 2, 1, tzinfo=UTC)
SINCE = f"{AT.timestamp():.5f}"


def _record(*runs, truncated=False):
    record = Record(key="k", truncated=truncated)
    for number, run_id in enumerate(runs, start=1):
        record = record.advance(
            run_id=run_id,
            run_type="scheduled",
            commit="c" * 40,
            load_ids=[f"{number}.5"],
            rows={},
            state={"s": {"last": number}},
        )
    return record


def _start(record, run_id, on_rerun="replace"):
    return start(record, run_id=run_id, on_rerun=on_rerun, cleared=lambda runs: [])


def test_after_a_reset_a_run_starts_from_nothing_and_knows_every_load_so_far():
    begun = _start(change.reset(_record("a", "b"), keep_rows=False, at=AT), "c")
    assert (begun.base.state, begun.known, begun.removes_after) == ({}, (SINCE,), "0")
    assert _start(change.reset(_record("a"), keep_rows=True, at=AT), "c").removes_after is None


def test_after_a_rewind_a_run_starts_from_the_commit_and_removes_what_came_after_it():
    begun = _start(change.rewind(_record("a", "b", "c"), 1, keep_rows=False, at=AT), "d")
    assert (begun.base.state, begun.known, begun.removes_after) == ({"s": {"last": 1}}, (SINCE, "1.5"), "1.5")


def test_a_state_that_was_set_is_the_head_and_the_commits_before_it_stay():
    record = change.put(_record("a", "b"), {"s": {"last": 9}}, at=AT)
    assert [commit.version for commit in record.commits] == [3, 2, 1]
    assert _start(record, "c").base.state == {"s": {"last": 9}}
    assert _start(record, "c").known[0] == SINCE


def test_adopt_leaves_the_record_and_tells_the_next_run():
    begun = _start(change.adopt(_record("a"), at=AT), "b")
    assert (begun.base.state, begun.adopt, begun.known) == ({"s": {"last": 1}}, True, ("1.5",))


@pytest.mark.parametrize(
    "changed",
    [
        change.reset(_record("a", "b"), keep_rows=False, at=AT),
        change.rewind(_record("a", "b"), 1, keep_rows=True, at=AT),
        change.put(_record("a", "b"), {"s": {}}, at=AT),
        change.adopt(_record("a", "b"), at=AT),
    ],
    ids=lambda record: record.directive.verb,
)
def test_every_change_is_a_version_of_its_own_comes_back_from_json_and_is_taken_off_by_the_next_commit(changed):
    assert changed.version == 3
    assert Record.from_json(changed.to_json(), key="k") == changed
    run = {"run_type": "", "commit": "", "rows": {}, "state": {}}
    after = changed.advance(run_id="c", load_ids=["9.5"], version=4, **run)
    assert (after.directive, after.version) == (None, 4)


def test_a_commit_without_a_load_leaves_accounted_for_what_was():
    changed = change.reset(_record("a"), keep_rows=False, at=AT)
    after = changed.advance(run_id="b", run_type="", commit="", load_ids=[], rows={}, state={}, version=3)
    assert after.known_load_ids == (SINCE,)
    assert after.directive.removes_after is None


def test_a_rewind_to_a_commit_that_is_not_kept_is_refused():
    with pytest.raises(StateError, match="has no version 9"):
        change.rewind(_record("a"), 9, keep_rows=False)


def test_the_oldest_commit_that_is_kept_cannot_run_again_if_older_ones_were_dropped():
    kept = Record.from_json(_record("a", "b", "c").to_json(max_commits=2), key="k")
    assert kept.truncated
    with pytest.raises(StateError, match="does not reach back"):
        _start(kept, "b", on_rerun="rewind")
    assert _start(kept, "c").base.state == {"s": {"last": 2}}


def test_loads_of_a_rerun_that_died_are_removed_by_the_next_run_of_any_kind():
    begun = _start(_record("a", "b"), "b")
    assert begun.base.directive.removes == ("2.5",)
    after = _start(begun.base, "c")
    assert (after.base.state, after.replaces, after.known[0]) == ({"s": {"last": 1}}, ("2.5",), "2.5")
