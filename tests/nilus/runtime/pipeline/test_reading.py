"""What a run reads: the table of kinds of sources and runs."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from job_fixture import job_with

from nilus.errors import StateError, WorkflowError
from nilus.protocol.job import Job, Run, SinkSpec, SourceSpec
from nilus.runtime.rows.reading.decision import decide

WINDOW = ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
ZERO = (WINDOW[0], WINDOW[0])


def _job(*, run_type="scheduled", backfill=None, interval=None, full_refresh=False, **source):
    return job_with(
        run=Run(
            state_key="d.t",
            dag_id="d",
            task_id="t",
            map_index=-1,
            run_id="r",
            run_type=run_type,
            try_number=1,
            repository="https://example.com/r",
            commit="c" * 40,
        ),
        source=SourceSpec(address="custom://S", table="t", **source),
        sink=SinkSpec(address="duckdb:////x", display_address="duckdb:////x", dataset="raw", full_refresh=full_refresh),
        checkout="/c",
        base_dir="/c",
        work_dir="/w",
        interval=interval,
        backfill=backfill,
    )


def _what(job, handles=False):
    reading = decide(job, handles_incrementality=handles)
    return reading.kind, reading.reads_state, reading.keeps_state


@pytest.mark.parametrize("run_type", ["scheduled", "manual", "asset_triggered", "backfill", "some_new_type"])
@pytest.mark.parametrize("interval", [None, ZERO, WINDOW])
def test_a_source_without_a_key_reads_everything_in_every_run_and_keeps_nothing(run_type, interval):
    assert _what(_job(run_type=run_type, interval=interval)) == ("full", False, False)


@pytest.mark.parametrize("run_type", ["scheduled", "manual", "backfill"])
def test_a_key_and_a_wide_interval_read_a_window_and_keep_nothing(run_type):
    job = _job(run_type=run_type, interval=WINDOW, incremental_key="at")
    reading = decide(job, handles_incrementality=False)
    assert (reading.kind, reading.reads_state, reading.keeps_state) == ("windowed", False, False)
    assert reading.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert reading.interval == WINDOW


@pytest.mark.parametrize("interval", [None, ZERO])
def test_a_key_without_an_interval_reads_from_the_cursor(interval):
    assert _what(_job(interval=interval, incremental_key="at")) == ("cursor", True, True)


def test_a_zero_width_interval_is_no_interval_and_the_log_says_so(caplog):
    with caplog.at_level("INFO", logger="nilus"):
        decide(_job(interval=ZERO, incremental_key="at"), handles_incrementality=False)
    assert "no width" in caplog.text


def test_a_backfill_of_a_cursor_is_refused_with_the_remedy():
    with pytest.raises(StateError, match='backfill="run"'):
        decide(_job(run_type="backfill", incremental_key="at"), handles_incrementality=False)


def test_a_backfill_of_a_self_managed_source_is_refused_with_the_remedy():
    with pytest.raises(StateError, match='backfill="window"'):
        decide(_job(run_type="backfill", interval=WINDOW), handles_incrementality=True)


def test_a_self_managed_source_that_honours_the_interval_backfills_with_a_thrown_away_state():
    job = _job(run_type="backfill", interval=WINDOW, backfill="window")
    reading = decide(job, handles_incrementality=True)
    assert (reading.kind, reading.reads_state, reading.keeps_state) == ("self-managed", False, False)
    assert reading.interval == WINDOW


def test_a_self_managed_source_reads_from_the_head_and_is_told_the_interval():
    reading = decide(_job(interval=WINDOW), handles_incrementality=True)
    assert (reading.kind, reading.reads_state, reading.keeps_state) == ("self-managed", True, True)
    assert reading.interval == WINDOW


@pytest.mark.parametrize("handles", [True, False])
def test_backfill_run_treats_the_run_as_a_scheduled_one(handles):
    job = _job(run_type="backfill", backfill="run", incremental_key="at")
    assert _what(job, handles)[1:] == (True, True)


@pytest.mark.parametrize("source", [{}, {"incremental_key": "at"}])
def test_backfill_refuse_refuses_every_kind(source):
    job = _job(run_type="backfill", backfill="refuse", interval=WINDOW, **source)
    with pytest.raises(StateError, match="refuses backfills"):
        decide(job, handles_incrementality=False)


def test_an_explicit_interval_wins_over_the_run_s():
    job = _job(
        interval=WINDOW,
        incremental_key="at",
        interval_start="2025-05-01",
        interval_end="2025-06-01T00:00:00Z",
    )
    reading = decide(job, handles_incrementality=False)
    assert reading.interval == ("2025-05-01T00:00:00+00:00", "2025-06-01T00:00:00+00:00")


def test_an_explicit_start_alone_begins_a_cursor_there():
    job = _job(interval=WINDOW, incremental_key="at", interval_start="2025-05-01")
    reading = decide(job, handles_incrementality=False)
    assert (reading.kind, reading.start, reading.end) == ("cursor", datetime(2025, 5, 1, tzinfo=UTC), None)


@pytest.mark.parametrize(
    "options",
    [{"interval_end": "2025-05-01"}, {"interval_start": "2025-05-02", "interval_end": "2025-05-01"}],
    ids=["end alone", "backwards"],
)
def test_an_interval_that_makes_no_sense_is_refused(options):
    with pytest.raises(WorkflowError):
        decide(_job(incremental_key="at", **options), handles_incrementality=False)


@pytest.mark.parametrize("handles", [True, False])
def test_full_refresh_with_an_interval_is_refused(handles):
    with pytest.raises(WorkflowError, match="exclude each other"):
        decide(_job(interval=WINDOW, incremental_key="at", full_refresh=True), handles_incrementality=handles)


@pytest.mark.parametrize("handles", [True, False])
def test_full_refresh_reads_the_state_for_the_resources_it_does_not_refresh(handles):
    job = _job(incremental_key="at", full_refresh=True)
    assert _what(job, handles) == ("self-managed" if handles else "cursor", True, True)


def test_full_refresh_of_a_source_that_reads_everything_anyway_may_have_an_interval():
    assert _what(_job(interval=WINDOW, full_refresh=True)) == ("full", False, False)


@pytest.mark.parametrize("interval", [None, ZERO])
def test_a_backfill_of_a_window_without_an_interval_is_refused(interval):
    job = _job(run_type="backfill", backfill="window", interval=interval)
    with pytest.raises(StateError, match="it has no interval"):
        decide(job, handles_incrementality=True)


@pytest.mark.parametrize(
    ("job", "handles", "warns"),
    [
        (_job(), False, True),
        (_job(interval=WINDOW, incremental_key="at"), False, True),
        (_job(incremental_key="at"), False, False),
        (_job(), True, False),
        (_job(run_type="backfill", backfill="window", interval=WINDOW), True, False),
    ],
    ids=["full", "windowed", "cursor", "self-managed", "backfill of a window"],
)
def test_state_is_lost_unasked_in_runs_that_read_no_cursor(job, handles, warns):
    assert decide(job, handles_incrementality=handles).warns_of_state is warns


def test_a_job_survives_the_process_border():
    job = _job(interval=WINDOW, incremental_key="at")
    assert Job.from_json(job.to_json()) == dataclasses.replace(job)
