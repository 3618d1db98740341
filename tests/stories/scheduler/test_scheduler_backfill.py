"""A backfill under a real scheduler."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations

DAYS = range(3, 8)


def test_a_backfill_loads_every_interval_once_several_at_a_time_into_one_file(airflow, shop):
    """DuckDB takes one writer: extraction runs side by side, and loads wait for the file."""
    first, last = datetime(2026, 1, DAYS[0], tzinfo=UTC), datetime(2026, 1, DAYS[-1], tzinfo=UTC)
    airflow.backfill("backfill_window", first, last, max_active_runs=3)
    run_ids = [run["dag_run_id"] for run in airflow.runs("backfill_window")]
    runs = [airflow.wait("backfill_window", run_id, bound=180) for run_id in run_ids]

    assert len(runs) == len(DAYS)
    results = [airflow.xcom("backfill_window", run.run_id, "load_orders") for run in runs]
    assert [result["rows"] for result in results] == [{"orders": 24}] * len(DAYS)
    starts = sorted(datetime.fromisoformat(result["interval"][0]).day for result in results)
    assert starts == list(DAYS)

    assert shop.deployment.tables("shop") == {"orders": 24 * len(DAYS)}
    per_day = shop.deployment.rows(
        "SELECT day(placed_at AT TIME ZONE 'UTC'), count(DISTINCT order_id), count(*) FROM shop.orders GROUP BY 1"
    )
    assert sorted(per_day) == [(day, 24, 24) for day in DAYS]
    loads = shop.deployment.rows("SELECT run_id, load_id FROM shop._airflow_loads")
    assert sorted(loads) == sorted((run.run_id, *result["load_ids"]) for run, result in zip(runs, results, strict=True))

    spans = [(run.task("load_orders")["start_date"], run.task("load_orders")["end_date"]) for run in runs]
    assert any(a[0] < b[1] and b[0] < a[1] for a, b in combinations(spans, 2)), f"never two at once: {spans}"
