"""What a run tells while it runs, and at its end."""

from __future__ import annotations

import pytest

from airflow_provider_nilus.reporting.summary import closing_table, progress_line
from nilus.protocol.events import Loaded, Progress
from nilus.runtime.engine.progress import ProgressCollector

SLOW = """
    @nilus.resource
    def orders():
        yield [{"id": n} for n in range(10)]
        yield [{"id": n} for n in range(5)]

    @nilus.resource(table_name="people")
    def users():
        yield {"id": 1}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return orders, users
"""


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reports():
    return []


@pytest.fixture
def collector(clock, reports):
    return ProgressCollector(reports.append, clock=clock)


def test_a_step_reports_at_most_every_five_seconds(collector, clock, reports):
    with collector("Extract shop"):
        for _ in range(120):
            clock.now += 0.1
            collector.update("orders", 10)
        assert [round(report.seconds) for report in reports] == [5, 10]
    assert reports[-1].rows == {"orders": 1200}
    assert [round(report.seconds) for report in reports] == [5, 10, 12]


def test_a_step_that_is_faster_than_that_reports_nothing(collector, clock, reports):
    with collector("Extract shop"):
        clock.now += 4.9
        collector.update("orders", 10)
    assert reports == []


def test_each_step_counts_anew(collector, clock, reports):
    for step in ("Extract shop", "Normalize shop in 1.2"):
        with collector(step):
            clock.now += 6
            collector.update("orders", 3)
    assert [(report.step, report.rows) for report in reports] == [
        ("extract", {"orders": 3}),
        ("extract", {"orders": 3}),
        ("normalize", {"orders": 3}),
        ("normalize", {"orders": 3}),
    ]


def test_rows_are_counted_by_table_with_their_rate_and_without_dlt_s_own(collector, clock, reports):
    with collector("Extract shop"):
        collector.update("orders", 30)
        collector.update("_dlt_pipeline_state", 1)
        collector.update("Resources", 1, 2)
        clock.now += 10
        collector.update("users", 5)
    assert reports[0] == Progress(
        step="extract",
        seconds=10.0,
        rows={"orders": 30, "users": 5},
        rows_per_second={"orders": 3.0, "users": 0.5},
    )


def test_load_jobs_are_counted_n_of_m_follow_ups_included(collector, clock, reports):
    with collector("Load shop in 1.2"):
        collector.update("Jobs", 0, 3)
        clock.now += 6
        collector.update("Jobs")
        collector.update("Jobs", 1, message="failed", label="Failed")
        collector.update("Jobs", 0, inc_total=2)
        clock.now += 6
        collector.update("Jobs")
    assert [(report.step, report.jobs_done, report.jobs_total) for report in reports] == [
        ("load", 1, 3),
        ("load", 2, 5),
        ("load", 2, 5),
    ]
    assert progress_line(reports[1]) == "load 12 s: load jobs 2 of 5"


def test_a_real_run_tells_rows_by_table_and_then_jobs(run_duckdb):
    outcome = run_duckdb(SLOW, entry="eager")
    progress = [event for event in outcome.events if isinstance(event, Progress)]
    steps = list(dict.fromkeys(event.step for event in progress))
    assert steps == ["extract", "normalize", "load"]
    # dlt extracts its own state in a step of the same name, hence the last report that has rows.
    last = {event.step: event for event in progress if event.rows or event.step == "load"}
    assert last["extract"].rows == last["normalize"].rows == {"orders": 15, "people": 1}
    assert set(last["extract"].rows_per_second) == {"orders", "people"}
    assert last["extract"].jobs_total is None
    assert last["load"].jobs_done == last["load"].jobs_total >= 3
    first, *_ = [event for event in progress if event.step == "load"]
    assert first.jobs_done == 0


def test_a_line_of_progress_has_rows_and_rates():
    progress = Progress(
        step="extract",
        seconds=12.4,
        rows={"orders": 1234567, "users": 8},
        rows_per_second={"orders": 99561.9, "users": 0.6},
    )
    assert progress_line(progress) == "extract 12 s: orders 1,234,567 rows (99,562/s); users 8 rows (1/s)"
    assert progress_line(Progress(step="normalize", seconds=5.0)) == "normalize 5 s: no rows yet"


def _loaded(tables):
    return Loaded(
        load_ids=["1.2"],
        tables=tables,
        dataset="raw",
        destination="duckdb",
        reading="full",
        keeps_state=False,
        state={},
        seconds={"source": 0.1, "extract": 12.345, "load": 1.0},
    )


def test_the_closing_table_has_table_rows_disposition_and_the_seconds_of_each_step():
    text = closing_table(
        _loaded(
            {
                "users": {"rows": 8, "write_disposition": "replace"},
                "orders": {"rows": 1234567, "write_disposition": "append"},
                "orders__items": {"rows": 0, "write_disposition": None},
            }
        )
    )
    assert text.splitlines() == [
        "table               rows  disposition",
        "-" * 37,
        "orders         1,234,567  append",
        "orders__items          0",
        "users                  8  replace",
        "seconds: source 0.10, extract 12.35, load 1.00",
    ]


def test_the_closing_table_of_a_run_without_rows_says_so():
    assert "(nothing new)" in closing_table(_loaded({}))
