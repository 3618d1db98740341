"""What a run of a DAG reads by the interval Airflow gives it: wide, of zero width, none at all, local days."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

try:
    from airflow.sdk import CronDataIntervalTimetable, CronTriggerTimetable
except ImportError:  # Airflow 3.1
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.timetables.trigger import CronTriggerTimetable

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
# A row every hour over the days around the change of the clocks, with its local day.
HOURLY = """
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo
import nilus

@nilus.resource(write_disposition="append")
def orders():
    begin = datetime(2026, 3, 27, tzinfo=UTC)
    for n in range(24 * 6):
        at = begin + timedelta(hours=n)
        yield {"n": n, "at": at, "day": at.astimezone(ZoneInfo("Europe/Berlin")).date()}

class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders
"""


@pytest.fixture
def make_dag(deployment, git_repo):
    repository = git_repo({"shop.py": HOURLY})

    def make(schedule, key="at", **arguments):
        with DAG("d", schedule=schedule, start_date=dt.datetime(2026, 3, 1, tzinfo=UTC)) as dag:
            NilusCustomSourceOperator(
                task_id="load",
                repo={"url": repository.url},
                source={"address": "custom://Shop", "options": {"source-table": "t", "incremental-key": key}},
                sink={
                    "address": "dataos://lakehouse",
                    "options": {"dest-table": "raw", "incremental-strategy": "append"},
                },
                **arguments,
            )
        return dag

    return make


LOCAL_DAYS = CronDataIntervalTimetable("0 0 * * *", timezone="Europe/Berlin")


def test_daily_runs_in_a_zone_whose_clocks_change_load_every_row_once(make_dag, run_dag, deployment):
    days = [dt.datetime(2026, 3, day, tzinfo=BERLIN) for day in (28, 29, 30)]
    results = [
        run_dag(make_dag(LOCAL_DAYS), run_type="scheduled", logical_date=day.astimezone(UTC)).xcom("load")
        for day in days
    ]
    assert [result["reading"] for result in results] == ["windowed"] * 3
    assert [result["rows"]["orders"] for result in results] == [24, 23, 24]
    rows = deployment.rows("SELECT n, count(*) FROM raw.orders GROUP BY n ORDER BY n")
    # 27 March 23:00 UTC is the first midnight, 30 March 22:00 the last.
    assert rows == [(n, 1) for n in range(23, 23 + 24 + 23 + 24)]


def test_a_column_of_local_days_is_read_with_the_documented_template(make_dag, run_dag, deployment):
    interval = tuple(f"{{{{ data_interval_{end}.in_timezone('Europe/Berlin') }}}}" for end in ("start", "end"))
    dag = make_dag(LOCAL_DAYS, key="day", interval=interval)
    outcome = run_dag(dag, run_type="scheduled", logical_date=dt.datetime(2026, 3, 29, tzinfo=BERLIN).astimezone(UTC))
    assert outcome.xcom("load")["interval"] == ["2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"]
    assert deployment.rows("SELECT DISTINCT day FROM raw.orders") == [(dt.date(2026, 3, 29),)]
    assert deployment.tables("raw") == {"orders": 23}


ZERO_WIDTH = dt.datetime(2026, 3, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "run",
    [
        {"run_type": "scheduled", "logical_date": ZERO_WIDTH},
        pytest.param(
            {"run_type": "manual", "logical_date": None, "data_interval": None},
            marks=pytest.mark.soak,
        ),
        {"run_type": "asset_triggered", "logical_date": None, "data_interval": None},
        pytest.param(
            {"run_type": "manual", "logical_date": ZERO_WIDTH, "data_interval": (ZERO_WIDTH, ZERO_WIDTH)},
            marks=pytest.mark.soak,
        ),
    ],
    ids=["zero width", "manual without a date", "asset-triggered", "manual of zero width"],
)
def test_a_run_without_an_interval_goes_by_the_cursor_and_is_never_empty(make_dag, run_dag, deployment, run):
    dag = make_dag(CronTriggerTimetable("@daily", timezone="UTC"))
    outcome = run_dag(dag, **run)
    assert outcome.states == {"load": "success"}, outcome.task("load").errors
    result = outcome.xcom("load")
    assert (result["reading"], result["interval"], result["state_version"]) == ("cursor", None, 1)
    assert result["rows"] == {"orders": 24 * 6}
    again = run_dag(dag, run_type="manual", logical_date=None, data_interval=None)
    assert again.xcom("load")["rows"] == {}, "the next run goes on from the cursor, whatever its kind"
    assert deployment.tables("raw") == {"orders": 24 * 6}


def test_a_window_run_again_replaces_its_own_rows_and_no_others(make_dag, run_dag, deployment):
    dag = make_dag(CronDataIntervalTimetable("0 0 * * *", timezone="UTC"))
    first, second = (
        run_dag(dag, run_type="scheduled", logical_date=dt.datetime(2026, 3, day, tzinfo=UTC)) for day in (28, 29)
    )
    again = run_dag.clear(dag, first)
    assert again.xcom("load")["rows"] == {"orders": 24}
    assert deployment.tables("raw") == {"orders": 48}
    assert deployment.rows("SELECT count(DISTINCT n), count(DISTINCT _dlt_load_id) FROM raw.orders") == [(48, 2)]
    assert second.xcom("load")["load_ids"] != again.xcom("load")["load_ids"]
