"""The kill matrix on the databases that are reached through SQLAlchemy; a few points always, all in the long runs."""

from __future__ import annotations

import random

import pytest
from kill_points import POINTS

from nilus.errors import ProcessError

SINKS = ("sqlite", "mariadb")
ALWAYS = {("sqlite", "second_job_done"), ("mariadb", "second_job_done")}
MATRIX = [
    pytest.param(sink, point, marks=[] if (sink, point) in ALWAYS else [pytest.mark.soak])
    for sink in SINKS
    for point in POINTS
]


@pytest.mark.parametrize(("sink", "point"), MATRIX)
def test_a_retry_after_a_kill_in_a_later_run_duplicates_and_loses_nothing_in_a_database(sink, point, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.killed("b", 300, kill_at=point)
    world.run("b", 300)
    world.check(300)


@pytest.mark.soak
@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("point", ["after_journal", "first_job_done", "before_complete", "after_complete", "end"])
def test_a_retry_after_a_kill_in_the_first_run_duplicates_and_loses_nothing_in_a_database(sink, point, make_world):
    world = make_world(sink)
    world.killed("a", 300, kill_at=point)
    world.run("a", 300)
    world.check(300)


@pytest.mark.parametrize("sink", [pytest.param("sqlite", marks=pytest.mark.soak), "mariadb"])
def test_a_load_of_a_run_that_died_before_its_state_was_kept_is_adopted_in_a_database(sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.run("b", 200, commit=False)
    world.run("c", 250)
    world.check(250)
    record = world.store.read("d.t")
    assert [commit.run_id for commit in (record.head, *record.history)] == ["c", "b", "a"]


@pytest.mark.soak
@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("seed", range(20))
def test_a_kill_at_a_random_time_duplicates_and_loses_nothing_in_a_database(seed, sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    try:
        world.run("b", 300, kill_after=random.Random(seed).uniform(0.05, 3.0))
    except ProcessError:
        world.run("b", 300)
    world.check(300)
