"""A task for each resource of a source: found by a task in every run, or given when the DAG is parsed.

Each resource has a state, a log, asset events and tries of its own, and with the CeleryExecutor or the
KubernetesExecutor a worker of its own.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_nilus.operators.resources import nilus_resources

REPO = {"url": "{{ var.value.nilus_examples }}/documentation", "base_dir": "my-custom-sources"}
SOURCE = {"address": "custom://MultiResourceSource", "options": {"source-table": "all"}}

with DAG(
    "fan_out",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # so that no two runs load one resource at once
    tags=["nilus"],
):
    nilus_resources(
        "found",
        repo=REPO,
        source=SOURCE,
        sink={"address": "dataos://lakehouse", "options": {"dest-table": "fan_out_found"}},
        retries=3,
        retry_delay=timedelta(minutes=1),
        max_active_tis_per_dagrun=8,
    )
    nilus_resources(
        "given",
        resources={
            "users": {},
            "activities": {"retries": 5, "priority_weight": 10},
        },
        repo=REPO,
        source=SOURCE,
        sink={"address": "dataos://lakehouse", "options": {"dest-table": "fan_out_given"}},
        retries=3,
    )
