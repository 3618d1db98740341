"""Runs that run again, records that were lost, runs that meet."""

from __future__ import annotations

import pytest

from airflow_provider_nilus.state import change
from nilus.errors import StateConflict, StateError
from nilus.protocol.job import SourceSpec

DAY = ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")


def test_the_newest_run_again_replaces_what_it_loaded(make_world):
    world = make_world("duckdb")
    world.run("a", 120)
    world.run("b", 200)
    world.run("b", 230)
    world.check(230)
    world.run("c", 250)
    world.check(250)


def test_append_on_a_rerun_leaves_what_was_loaded(make_world):
    world = make_world("duckdb")
    world.run("a", 100)
    world.run("a", 100, on_rerun="append", first_attempt=2)
    assert len(world.query("SELECT id FROM raw.items")) == 200


def test_append_is_about_cleared_runs_and_a_retry_after_the_record_was_written_replaces(make_world):
    world = make_world("duckdb")
    world.run("a", 100, on_rerun="append")
    world.run("a", 100, on_rerun="append")
    world.check(100)


def test_append_is_about_cleared_runs_and_a_retry_of_a_run_without_state_replaces(make_world):
    world = make_world("duckdb")
    window = {"on_rerun": "append", "backfill": "window", "interval": DAY}
    world.run("a", 100, run_type="backfill", **window)
    world.run("a", 100, run_type="backfill", **window)
    assert len(world.query("SELECT id FROM raw.items")) == 100
    world.run("a", 100, run_type="backfill", first_attempt=3, **window)
    assert len(world.query("SELECT id FROM raw.items")) == 200


@pytest.mark.soak
def test_an_older_run_again_is_refused_and_nothing_is_touched(make_world):
    world = make_world("duckdb")
    world.run("a", 100)
    world.run("b", 150)
    with pytest.raises(StateError, match="cannot be run again by itself"):
        world.run("a", 200)
    world.check(150)


def test_rewind_removes_the_later_runs_and_goes_on_from_the_older_one(make_world):
    world = make_world("duckdb")
    for run_id, rows in (("a", 100), ("b", 150), ("c", 180)):
        world.run(run_id, rows)
    world.run("b", 170, on_rerun="rewind")
    world.check(170)
    record = world.store.read("d.t")
    assert [commit.run_id for commit in (record.head, *record.history)] == ["b", "a"]
    assert record.version == 4


def test_a_run_before_one_that_was_deleted_is_run_again_and_makes_both(make_world):
    world = make_world("duckdb")
    for run_id, rows in (("a", 100), ("b", 150), ("c", 180)):
        world.run(run_id, rows)
    world.deleted = {"a", "c"}
    world.run("b", 190)
    world.check(190)
    assert [commit.run_id for commit in world.store.read("d.t").commits] == ["b", "a"], "older ones are history"


def test_what_lands_after_a_record_was_set_by_hand_is_removed_by_the_next_run(make_world):
    world = make_world("duckdb")
    world.run("a", 100)
    before = world.store.read("d.t")

    def set_by_hand():
        world.store.write(change.put(world.store.read("d.t"), before.state))

    with pytest.raises(StateError, match="was changed"):
        world.run("b", 150, before_commit=set_by_hand)
    world.run("b", 150)
    world.check(150)


@pytest.mark.parametrize("order", [pytest.param(("b", "c"), marks=pytest.mark.soak), ("c", "b")])
def test_cleared_runs_give_the_right_rows_whatever_order_they_come_back_in(order, make_world):
    world = make_world("duckdb")
    for run_id, rows in (("a", 100), ("b", 150), ("c", 180)):
        world.run(run_id, rows)
    world.cleared = {"b", "c"}
    for rows, run_id in zip((185, 190), order, strict=True):
        world.run(run_id, rows)
        world.cleared.discard(run_id)
    world.check(190)


@pytest.mark.soak
def test_a_rerun_that_dies_in_the_load_is_made_good_by_its_retry(make_world):
    world = make_world("duckdb")
    world.run("a", 120)
    world.run("b", 200)
    world.killed("b", 200, kill_at="first_job_done")
    world.run("b", 200)
    world.check(200)


@pytest.mark.parametrize("sink", [pytest.param("duckdb", marks=pytest.mark.soak), "files"])
def test_a_rerun_that_dies_before_its_record_is_written_is_made_good_by_the_next_run(sink, make_world):
    """Its state is the one that the destination held of the try before, and has to come with the new load as well."""
    world = make_world(sink)
    world.run("a", 120)
    world.run("b", 200)
    world.run("b", 200, commit=False)
    world.run("c", 250)
    world.check(250)


def test_a_record_that_was_lost_after_one_run_is_taken_from_the_destination(make_world):
    world = make_world("duckdb")
    world.run("a", 120)
    (world.store._folder / "d.t").unlink()
    world.run("b", 150)
    world.check(150)


def test_a_record_that_was_lost_after_several_runs_stops_the_next_one_with_the_remedies(make_world):
    world = make_world("duckdb")
    world.run("a", 120)
    world.run("b", 150)
    (world.store._folder / "d.t").unlink()
    with pytest.raises(StateError, match="newer loads") as error:
        world.run("c", 180)
    assert "restore" in error.value.remedy
    assert "reset" in error.value.remedy
    assert world.tables() == world.truth(150)


@pytest.mark.soak
def test_a_record_restored_from_a_backup_stops_the_next_run(make_world):
    world = make_world("duckdb")
    world.run("a", 100)
    backup = (world.store._folder / "d.t").read_text()
    world.run("b", 120)
    world.run("c", 150)
    (world.store._folder / "d.t").write_text(backup)
    with pytest.raises(StateError, match="newer loads"):
        world.run("d", 180)
    assert world.tables() == world.truth(150)


@pytest.mark.parametrize("sink", [pytest.param("duckdb", marks=pytest.mark.soak), "postgres"])
def test_a_run_that_meets_a_live_one_fails_before_it_loads_and_may_be_tried_again(sink, make_world):
    world = make_world(sink)
    world.run("a", 120)
    world.killed("b", 200, kill_at="first_job_done")
    world.live = {"b"}
    before = world.query("SELECT count(*) FROM raw._airflow_loads")
    with pytest.raises(StateConflict, match="run b, try 1") as error:
        world.run("c", 250)
    assert error.value.retryable
    assert world.query("SELECT count(*) FROM raw._airflow_loads") == before
    world.live = set()
    world.run("c", 250)
    world.check(250)


PLAIN = SourceSpec(address="custom://Plain", table="t", max_table_nesting=1)


def test_a_run_without_state_replaces_only_its_own_rows_when_it_runs_again(make_world):
    world = make_world("duckdb")
    world.run("a", 100, source=PLAIN)
    world.run("b", 120, source=PLAIN)
    world.run("a", 110, source=PLAIN)
    counts = world.query("SELECT count(*), count(DISTINCT _dlt_load_id) FROM raw.items")
    assert counts == [(120 + 110, 2)]
    assert world.store.read("d.t").version == 0


@pytest.mark.soak
def test_what_a_dead_run_without_state_left_half_loaded_is_removed_by_the_next_one(make_world):
    world = make_world("duckdb")
    world.killed("a", 100, source=PLAIN, kill_at="second_job_done")
    world.run("b", 120, source=PLAIN)
    assert world.query("SELECT count(*), count(DISTINCT _dlt_load_id) FROM raw.items") == [(120, 1)]


def test_a_live_run_without_state_is_left_alone_by_another_one(make_world):
    world = make_world("duckdb")
    world.killed("a", 100, source=PLAIN, kill_at="before_complete")
    world.live = {"a"}
    world.run("b", 120, source=PLAIN)
    assert world.query("SELECT count(*), count(DISTINCT _dlt_load_id) FROM raw.items") == [(220, 2)]
