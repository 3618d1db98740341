"""Where a run starts from when it, or others, run again."""

from __future__ import annotations

import pytest

from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.starting_point import start
from nilus.errors import StateError


def _record(*runs):
    record = Record(key="k")
    for number, run_id in enumerate(runs, start=1):
        record = record.advance(
            run_id=run_id,
            run_type="scheduled",
            commit="c" * 40,
            load_ids=[f"load-{number}"],
            rows={},
            state={"s": {"last": number}},
        )
    return record


def _start(record, run_id, *, on_rerun="replace", cleared=()):
    return start(record, run_id=run_id, on_rerun=on_rerun, cleared=lambda runs: [r for r in runs if r in cleared])


def test_a_first_run_starts_from_nothing():
    begin = _start(_record(), "a")
    assert (begin.base.state, begin.version, begin.replaces, begin.known) == ({}, 0, (), ())


def test_a_new_run_starts_from_the_head_and_takes_nothing_back():
    begin = _start(_record("a", "b"), "c")
    assert (begin.base.state, begin.version, begin.replaces) == ({"s": {"last": 2}}, 2, ())
    assert begin.known == ("load-2", "load-1")


def test_the_newest_run_again_starts_where_it_started_and_replaces_its_rows():
    begin = _start(_record("a", "b"), "b")
    assert (begin.base.state, begin.version, begin.replaces) == ({"s": {"last": 1}}, 2, ("load-2",))


def test_the_only_run_again_starts_from_nothing():
    begin = _start(_record("a"), "a")
    assert (begin.base.head, begin.version, begin.replaces) == (None, 1, ("load-1",))


def test_append_leaves_the_rows_of_the_run_before():
    begin = _start(_record("a", "b"), "b", on_rerun="append")
    assert (begin.base.state, begin.replaces) == ({"s": {"last": 1}}, ())


def test_an_older_run_alone_is_refused_with_both_remedies():
    with pytest.raises(StateError) as error:
        _start(_record("a", "b", "c"), "b")
    assert "version 3 of run c" in str(error.value)
    assert "Future" in str(error.value)
    assert "rewind" in str(error.value)


def test_rewind_takes_an_older_run_back_with_all_later_ones():
    begin = _start(_record("a", "b", "c"), "b", on_rerun="rewind")
    assert (begin.base.state, begin.version, begin.replaces) == ({"s": {"last": 1}}, 3, ("load-3", "load-2"))


@pytest.mark.parametrize("first", ["b", "c"])
def test_whichever_of_the_cleared_runs_comes_first_takes_all_of_them_back(first):
    begin = _start(_record("a", "b", "c"), first, cleared={"b", "c"})
    assert (begin.base.state, begin.replaces) == ({"s": {"last": 1}}, ("load-3", "load-2"))


def test_the_cleared_runs_that_come_later_go_on_from_the_new_head():
    begin = _start(_record("a", "b", "c"), "c", cleared={"b", "c"})
    record = begin.base.advance(
        version=begin.version + 1, run_id="c", run_type="", commit="", load_ids=["load-4"], rows={}, state={"s": 9}
    )
    second = _start(record, "b", cleared={"b"})
    assert (second.base.state, second.replaces, second.version) == ({"s": 9}, (), 4)


def test_a_gap_between_cleared_runs_is_no_permission():
    with pytest.raises(StateError, match="version 3 of run c"):
        _start(_record("a", "b", "c", "d"), "b", cleared={"b", "d"})


def test_a_cleared_older_run_does_not_stop_the_newest_one():
    begin = _start(_record("a", "b", "c"), "c", cleared={"a"})
    assert begin.replaces == ("load-3",)


def test_a_cleared_run_whose_commit_is_nowhere_takes_back_the_cleared_ones_before_it():
    def begin(cleared):
        return start(_record("a", "b"), run_id="c", on_rerun="replace", cleared=lambda runs: list(cleared), reran=True)

    assert (begin({"b"}).base.state, begin({"b"}).replaces) == ({"s": {"last": 1}}, ("load-2",))
    assert begin(set()).replaces == begin({"a"}).replaces == ()
