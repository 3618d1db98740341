"""The child is killed while it loads into a lakehouse; the next try, on another machine, leaves every row once.

Iceberg commits one table after the other, so that a load may be there in some of its tables only.
"""

from __future__ import annotations

import random

import pytest
from kill_points import LAKE_POINTS, POINTS

AROUND_THE_LOAD = ("first_table_committed", "after_complete")
# Only sweeping passes it, and nothing is swept in a run that comes after one that went well.
LATER_POINTS = [point for point in (*POINTS, *LAKE_POINTS) if point != "first_table_swept"]


@pytest.mark.parametrize(
    "point", [pytest.param(one, marks=[] if one in AROUND_THE_LOAD else [pytest.mark.soak]) for one in LATER_POINTS]
)
def test_a_retry_into_a_lakehouse_after_a_kill_in_a_later_run_duplicates_and_loses_nothing(point, make_world):
    world = make_world("lakehouse")
    world.run("a", 120)
    world.killed("b", 300, kill_at=point)
    world.run("b", 300)
    world.check(300)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(one, marks=[] if one == "second_table_committed" else [pytest.mark.soak])
        for one in ("after_journal", "files_written", "second_table_committed", "before_complete", "after_complete")
    ],
)
def test_a_retry_into_a_lakehouse_after_a_kill_in_the_first_run_duplicates_and_loses_nothing(point, make_world):
    world = make_world("lakehouse")
    world.killed("a", 300, kill_at=point)
    world.run("a", 300)
    world.check(300)
    world.run("b", 350)
    world.check(350)


def test_a_kill_while_another_kill_is_swept_up_leaves_every_row_once(make_world):
    world = make_world("lakehouse")
    world.killed("a", 200, kill_at="before_complete")
    world.killed("a", 200, kill_at="first_table_swept")
    world.run("a", 200)
    world.check(200)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_a_kill_of_a_lakehouse_load_at_a_random_time_duplicates_and_loses_nothing(seed, make_world):
    from nilus.errors import ProcessError

    world = make_world("lakehouse")
    world.run("a", 120)
    try:
        world.run("b", 300, kill_after=random.Random(seed).uniform(0.5, 5.0))
    except ProcessError:
        world.run("b", 300)
    world.check(300)
