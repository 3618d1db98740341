"""The child is killed while it writes files; the next try, on another machine, leaves every row once."""

from __future__ import annotations

import random

import pytest
from kill_points import FILE_POINTS, POINTS

from nilus.errors import ProcessError, StateConflict

# Half loaded, all but complete, half replaced; the others are left to the long runs.
IN_EVERY_RUN = ("first_job_done", "state_stored", "replacement_moved")
MATRIX = [
    pytest.param(point, sink, marks=[] if sink == "files" and point in IN_EVERY_RUN else [pytest.mark.soak])
    for sink in ("files", "delta", "s3", "s3-delta")
    for point in (*POINTS, *FILE_POINTS)
    if "delta" not in sink or point in POINTS or point == "state_stored"  # Delta replaces in a commit of its own
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


@pytest.mark.parametrize("sink", ["files", pytest.param("delta", marks=pytest.mark.soak)])
def test_a_settling_that_is_killed_is_done_again(sink, make_world):
    world = make_world(sink)
    world.killed("a", 120, kill_at="before_complete")
    world.killed("a", 120, kill_at="first_table_swept")
    world.run("a", 120)
    world.check(120)


@pytest.mark.parametrize("sink", ["files", pytest.param("s3", marks=pytest.mark.soak)])
def test_a_run_that_meets_a_live_one_fails_before_it_loads_and_may_be_tried_again(sink, make_world):
    world = make_world(sink)
    world.killed("b", 200, kill_at="first_job_done")
    world.live = {"b"}
    before = world.lake.files()
    with pytest.raises(StateConflict, match="run b, try 1"):
        world.run("c", 250)
    assert world.lake.files() == before
    world.live = set()
    world.run("c", 250)
    world.check(250)


@pytest.mark.soak
@pytest.mark.parametrize("sink", ["files", "delta", "s3"])
@pytest.mark.parametrize("seed", range(15))
def test_a_kill_at_a_random_time_duplicates_and_loses_nothing(seed, sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    try:
        world.run("b", 300, kill_after=random.Random(seed).uniform(0.3, 4.0))
    except ProcessError:
        world.run("b", 300)
    world.check(300)
