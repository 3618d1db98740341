"""The worker is killed instead of the child, or both; the next try, on another machine, leaves every row once.

Where only the worker is killed, the child goes on until it notices: it may even complete its load in that moment.
"""

from __future__ import annotations

import pytest
from kill_points import POINTS

ALWAYS = {
    ("duckdb", "parent", "in_extract"),
    ("duckdb", "parent", "first_job_done"),
    ("postgres", "parent", "before_complete"),
    ("duckdb", "both", "second_job_done"),
}
MATRIX = [
    pytest.param(sink, who, point, marks=[] if (sink, who, point) in ALWAYS else [pytest.mark.soak])
    for sink in ("duckdb", "postgres")
    for who in ("parent", "both")
    for point in POINTS
]


@pytest.mark.parametrize(("sink", "who", "point"), MATRIX)
def test_a_worker_that_is_killed_is_made_good_by_the_retry_elsewhere(sink, who, point, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.killed_with_its_parent("b", 300, kill_at=point, who=who)
    world.run("b", 300)
    world.check(300)
    world.run("c", 350)
    world.check(350)
