"""Orders by day, appended: a row that is loaded twice is there twice."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import DeltaDataIntervalTimetable

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG(
    "appending",
    schedule=DeltaDataIntervalTimetable(timedelta(days=1)),
    start_date=datetime(2026, 2, 1, tzinfo=UTC),
    end_date=datetime(2026, 2, 4, tzinfo=UTC),
    catchup=True,
):
    NilusCustomSourceOperator(
        task_id="load_orders",
        repo={"url": "{{ var.value.nilus_examples }}/orders"},
        source={
            "address": "custom://Orders?first=2026-01-01&days=60",
            "options": {"source-table": "orders", "incremental-key": "placed_at"},
        },
        sink={
            "address": "dataos://lakehouse",
            "options": {"dest-table": "appended", "incremental-strategy": "append"},
        },
        max_active_tis_per_dag=None,
    )
