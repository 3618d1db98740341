"""Orders by day: every run loads the window of its data interval, so that any day can be loaded again.

`DeltaDataIntervalTimetable` gives each run an interval of a day. (Airflow's `@daily` gives intervals without width.)
The rows are merged on `order_id`: running a day twice changes nothing.

    airflow backfill create --dag-id backfill_window --from-date 2026-01-03 --to-date 2026-01-08 --max-active-runs 3
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import DeltaDataIntervalTimetable

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG(
    "backfill_window",
    schedule=DeltaDataIntervalTimetable(timedelta(days=1)),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["nilus"],
):
    NilusCustomSourceOperator(
        task_id="load_orders",
        repo={"url": "{{ var.value.nilus_examples }}/orders"},
        source={
            "address": "custom://Orders?first=2026-01-01&days=14",
            "options": {"source-table": "orders", "incremental-key": "placed_at", "primary-key": "order_id"},
        },
        sink={
            "address": "dataos://lakehouse",
            "options": {"dest-table": "shop", "incremental-strategy": "merge"},
        },
        # The operator's default is 1, which protects a cursor. Windows move none: several days may be loaded at once.
        max_active_tis_per_dag=3,
    )
