"""The child is killed at every named point; the next try, on another machine, leaves every row once."""

from __future__ import annotations

import random

import pytest
from kill_points import POINTS

SINKS = ("duckdb", "postgres")
# On PostgreSQL every run of the tests takes the points around the load; the others are left to the long runs.
AROUND_THE_LOAD = ("after_journal", "first_job_done", "second_job_done", "before_complete", "after_complete", "end")
MATRIX = [
    pytest.param(point, sink, marks=[pytest.mark.soak] if sink == "postgres" and point not in AROUND_THE_LOAD else [])
    for point in POINTS
    for sink in SINKS
]


@pytest.mark.parametrize(("point", "sink"), MATRIX)
def test_a_retry_after_a_kill_in_a_later_run_duplicates_and_loses_nothing(point, sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.killed("b", 300, kill_at=point)
    world.run("b", 300)
    world.check(300)
    world.run("c", 350)
    world.check(350)


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("point", ["after_journal", "first_job_done", "before_complete", "after_complete", "end"])
def test_a_retry_after_a_kill_in_the_first_run_duplicates_and_loses_nothing(point, sink, make_world):
    world = make_world(sink)
    world.killed("a", 300, kill_at=point)
    world.run("a", 300)
    world.check(300)


@pytest.mark.parametrize("sink", SINKS)
def test_a_worker_that_dies_before_the_record_is_written_is_made_good_by_its_retry(sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.run("b", 300, commit=False)
    again = world.run("b", 400)
    assert again.tables["items"]["rows"] == 180, "the load that had landed counts, nothing is extracted again"
    world.check(300)
    world.run("c", 400)
    world.check(400)


@pytest.mark.parametrize("sink", SINKS)
def test_a_worker_that_dies_before_the_record_is_written_is_made_good_by_the_next_run(sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.run("scheduled__b", 300, commit=False)
    world.run("c", 350)
    world.check(350)
    record = world.store.read("d.t")
    assert [commit.run_id for commit in (record.head, *record.history)] == ["c", "scheduled__b", "a"]


def test_tries_that_die_one_after_the_other_leave_nothing_behind(make_world):
    world = make_world("duckdb")
    for point in ("first_job_done", "in_extract", "before_complete", "second_job_done"):
        world.killed("a", 200, kill_at=point)
    world.run("a", 200)
    world.check(200)


@pytest.mark.soak
@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("seed", range(50))
def test_a_kill_at_a_random_time_duplicates_and_loses_nothing(seed, sink, make_world):
    from nilus.errors import ProcessError

    world = make_world(sink)
    world.run("a", 120)
    try:
        world.run("b", 300, kill_after=random.Random(seed).uniform(0.05, 3.0))
    except ProcessError:
        world.run("b", 300)
    world.check(300)
