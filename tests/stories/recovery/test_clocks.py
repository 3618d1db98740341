"""Workers whose clocks differ: what is newer is what came later, whatever they say."""

from __future__ import annotations

import dataclasses

import pytest

AHEAD, BEHIND = {"NILUS_CLOCK": "86400"}, {"NILUS_CLOCK": "-86400"}
SINKS = [
    "duckdb",
    *(pytest.param(one, marks=pytest.mark.soak) for one in ("postgres", "mariadb", "files", "lakehouse")),
]


def _with(world, environ):
    return dataclasses.replace(world, environ=environ)


@pytest.mark.parametrize("sink", SINKS)
def test_a_load_that_the_record_does_not_know_is_adopted_after_one_by_a_fast_clock(sink, make_world):
    world = make_world(sink)
    _with(world, AHEAD).run("a", 120)
    world.run("b", 200, commit=False)
    world.run("c", 300)
    world.check(300)


@pytest.mark.parametrize("sink", SINKS)
def test_a_load_that_a_slow_clock_was_killed_in_is_made_good_by_its_retry(sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    _with(world, BEHIND).killed("b", 300, kill_at="first_job_done")
    world.run("b", 300)
    world.check(300)


@pytest.mark.parametrize("sink", SINKS)
def test_a_run_by_a_slow_clock_that_is_run_again_is_replaced(sink, make_world):
    world = make_world(sink)
    _with(world, AHEAD).run("a", 120)
    _with(world, BEHIND).run("b", 300)
    world.run("b", 350)
    world.check(350)
