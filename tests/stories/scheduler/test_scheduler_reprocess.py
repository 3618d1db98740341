"""Backfills that append, under a real scheduler: backwards, again, and beside scheduled runs."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from scheduler_fixture import RealAirflow

HERE = Path(__file__).parent


def _day(day, month=1):
    return datetime(2026, month, day, tzinfo=UTC)


def _backfill(airflow, first, last, **options):
    """Run a backfill to its end; return its runs, oldest interval first."""
    airflow.wait_for_backfill(airflow.backfill("appending", first, last, **options))
    wanted = {f"2026-01-{day:02}" for day in range(first.day, last.day + 1)}
    runs = [run for run in airflow.runs("appending") if run["data_interval_start"][:10] in wanted]
    return [
        airflow.wait("appending", run["dag_run_id"], bound=300)
        for run in sorted(runs, key=lambda run: run["data_interval_start"])
    ]


def _rows_by_day(shop):
    return sorted(
        shop.deployment.rows(
            "SELECT month(placed_at AT TIME ZONE 'UTC'), day(placed_at AT TIME ZONE 'UTC'),"
            " count(*), count(DISTINCT order_id) FROM appended.orders GROUP BY 1, 2"
        )
    )


def test_a_backfill_backwards_and_again_leaves_every_row_once(airflow, shop):
    first = _backfill(airflow, _day(10), _day(12), max_active_runs=2, backwards=True)
    assert len(first) == 3
    assert _rows_by_day(shop) == [(1, day, 24, 24) for day in (10, 11, 12)]

    again = _backfill(airflow, _day(11), _day(12), max_active_runs=2, reprocess="completed")
    tries = [run.task("load_orders")["try_number"] for run in again]
    assert [run.run_id for run in again] == [run.run_id for run in first[1:]]
    assert tries == [2, 2], "both days ran again"
    assert _rows_by_day(shop) == [(1, day, 24, 24) for day in (10, 11, 12)]
    entries = shop.deployment.rows("SELECT count(*) FROM appended._airflow_loads WHERE swept_at IS NULL")
    assert entries == [(3,)]


@pytest.fixture
def scheduling_airflow(postgres, real_airflow_environ):
    """An Airflow of its own that makes scheduled runs, with two workers."""
    home = Path(tempfile.mkdtemp(prefix="nilus-airflow-"))
    for folder in ("dags", "logs", "home"):
        (home / folder).mkdir()
    (home / "airflow.cfg").write_text("[core]\n")
    settings = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True", "AIRFLOW__CORE__PARALLELISM": "2"}
    airflow = RealAirflow(home, postgres.create_database(), {**real_airflow_environ, **settings})
    try:
        airflow.start()
        airflow.add_dags(HERE / "dags" / "appending.py")
        yield airflow
    finally:
        airflow.stop()
        postgres.drop_database(airflow.database)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.soak
def test_a_backfill_of_ten_days_beside_scheduled_runs_loads_every_row_once(scheduling_airflow, shop):
    airflow = scheduling_airflow
    days = range(14, 24)
    runs = _backfill(airflow, _day(days[0]), _day(days[-1]), max_active_runs=3)
    assert len(runs) == len(days)
    airflow._wait(lambda: len(_of_february(airflow)) == 4, 120, lambda: str(airflow.runs("appending")))
    scheduled = [airflow.wait("appending", run["dag_run_id"], bound=300) for run in _of_february(airflow)]
    assert {run.run_id.partition("__")[0] for run in scheduled} == {"scheduled"}
    found = [row for row in _rows_by_day(shop) if row[0] == 2 or row[1] in days]
    assert found == [(1, day, 24, 24) for day in days] + [(2, day, 24, 24) for day in range(1, 5)]
    spans = sorted(
        (run.task("load_orders")["start_date"], run.task("load_orders")["end_date"]) for run in [*runs, *scheduled]
    )
    assert any(one[1] > two[0] for one, two in pairwise(spans)), "never two at once"


def _of_february(airflow):
    return [run for run in airflow.runs("appending") if run["data_interval_start"].startswith("2026-02")]
