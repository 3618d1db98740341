"""A child, its worker or both are killed at a named point; the next try, on another machine, leaves every row once.

The decisive points in every run of the tests: nothing is there, part of it, all of it without the mark, all of it
without the record. Every point on every sink in the long runs.

Where only the worker is killed, the child goes on until it notices: it may even complete its load in that moment.
Files and tables of a lakehouse become visible one after the other, so that a load may be there in some tables only.
"""

from __future__ import annotations

import random

import pytest
from kill_points import FILE_POINTS, LAKE_POINTS, POINTS

from nilus.errors import ProcessError, StateConflict

# Only sweeping passes it, and nothing is swept in a run that comes after one that went well.
_OF_LAKEHOUSES = tuple(point for point in LAKE_POINTS if point != "first_table_swept")
# Beside the points that every sink has; Delta replaces in a commit of its own.
SINKS = {
    "duckdb": (),
    "postgres": (),
    "sqlite": (),
    "mariadb": (),
    "files": FILE_POINTS,
    "s3": FILE_POINTS,
    "delta": ("state_stored",),
    "s3-delta": ("state_stored",),
    "lakehouse": _OF_LAKEHOUSES,
}
FIRST_RUN = {
    **dict.fromkeys(
        ("duckdb", "postgres", "sqlite", "mariadb"),
        ("after_journal", "first_job_done", "before_complete", "after_complete", "end"),
    ),
    "lakehouse": ("after_journal", "files_written", "second_table_committed", "before_complete", "after_complete"),
}
DECISIVE = {
    ("duckdb", "child", "between_resources"),
    ("duckdb", "child", "after_journal"),
    ("duckdb", "child", "first_job_done"),
    ("duckdb", "child", "before_complete"),
    ("duckdb", "child", "after_complete"),
    ("duckdb", "parent", "first_job_done"),
    ("duckdb", "both", "second_job_done"),
    ("postgres", "child", "first_job_done"),
    ("postgres", "child", "after_complete"),
    ("postgres", "parent", "before_complete"),
    ("sqlite", "child", "second_job_done"),
    ("mariadb", "child", "second_job_done"),
    ("files", "child", "first_job_done"),
    ("files", "child", "state_stored"),
    ("files", "child", "replacement_moved"),
    ("lakehouse", "child", "first_table_committed"),
    ("lakehouse", "child", "after_complete"),
}
DECISIVE_OF_THE_FIRST_RUN = {
    ("duckdb", "first_job_done"),
    ("postgres", "after_complete"),
    ("lakehouse", "second_table_committed"),
}


def _marked(cases, decisive):
    return [pytest.param(*case, marks=[] if case in decisive else [pytest.mark.soak]) for case in cases]


LATER_RUNS = [
    *((sink, "child", point) for sink, points in SINKS.items() for point in (*POINTS, *points)),
    *((sink, who, point) for sink in ("duckdb", "postgres") for who in ("parent", "both") for point in POINTS),
]
FIRST_RUNS = [(sink, point) for sink, points in FIRST_RUN.items() for point in points]
RANDOM_TIMES = {sink: range(50 if sink in ("duckdb", "postgres") else 20) for sink in SINKS}


@pytest.mark.parametrize(("sink", "who", "point"), _marked(LATER_RUNS, DECISIVE))
def test_a_retry_after_a_kill_in_a_later_run_duplicates_and_loses_nothing(sink, who, point, make_world):
    world = make_world(sink)
    world.run("a", 120)
    if who == "child":
        world.killed("b", 300, kill_at=point)
    else:
        world.killed_with_its_parent("b", 300, kill_at=point, who=who)
    world.run("b", 300)
    world.check(300)


@pytest.mark.parametrize(("sink", "point"), _marked(FIRST_RUNS, DECISIVE_OF_THE_FIRST_RUN))
def test_a_retry_after_a_kill_in_the_first_run_duplicates_and_loses_nothing(sink, point, make_world):
    world = make_world(sink)
    world.killed("a", 300, kill_at=point)
    world.run("a", 300)
    world.check(300)


@pytest.mark.soak
@pytest.mark.parametrize(("sink", "seed"), [(sink, seed) for sink, seeds in RANDOM_TIMES.items() for seed in seeds])
def test_a_kill_at_a_random_time_duplicates_and_loses_nothing(sink, seed, make_world):
    world = make_world(sink)
    world.run("a", 120)
    try:
        world.run("b", 300, kill_after=random.Random(seed).uniform(0.05, 4.0))
    except ProcessError:
        world.run("b", 300)
    world.check(300)


@pytest.mark.parametrize("sink", ["duckdb", pytest.param("postgres", marks=pytest.mark.soak)])
def test_a_worker_that_dies_before_the_record_is_written_is_made_good_by_its_retry(sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.run("b", 300, commit=False)
    again = world.run("b", 400)
    assert again.tables["items"]["rows"] == 180, "the load that had landed counts, nothing is extracted again"
    world.check(300)
    world.run("c", 400)
    world.check(400)


@pytest.mark.parametrize(
    "sink", ["postgres", "mariadb", *(pytest.param(sink, marks=pytest.mark.soak) for sink in ("duckdb", "sqlite"))]
)
def test_a_worker_that_dies_before_the_record_is_written_is_made_good_by_the_next_run(sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.run("scheduled__b", 200, commit=False)
    world.run("c", 250)
    world.check(250)
    record = world.store.read("d.t")
    assert [commit.run_id for commit in (record.head, *record.history)] == ["c", "scheduled__b", "a"]


def test_tries_that_die_one_after_the_other_leave_nothing_behind(make_world):
    world = make_world("duckdb")
    for point in ("first_job_done", "in_extract", "before_complete", "second_job_done"):
        world.killed("a", 200, kill_at=point)
    world.run("a", 200)
    world.check(200)


@pytest.mark.parametrize("sink", ["files", "lakehouse", pytest.param("delta", marks=pytest.mark.soak)])
def test_a_settling_that_is_killed_is_done_again(sink, make_world):
    world = make_world(sink)
    world.killed("a", 120, kill_at="before_complete")
    world.killed("a", 120, kill_at="first_table_swept")
    world.run("a", 120)
    world.check(120)


@pytest.mark.parametrize("sink", ["files", pytest.param("s3", marks=pytest.mark.soak)])
def test_a_run_that_meets_a_live_one_fails_before_it_changes_a_file_and_may_be_tried_again(sink, make_world):
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
