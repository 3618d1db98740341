"""The history of a Git repository, incremental by commit: each run loads the commits that are new."""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("git_history", schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, tags=["nilus"]):
    NilusCustomSourceOperator(
        task_id="load_history",
        repo={"url": "{{ var.value.nilus_examples }}/history"},
        source={
            "address": "custom://GitHistory?repository={HISTORY_OF}",
            "options": {"source-table": "history"},
        },
        sink={"address": "dataos://lakehouse", "options": {"dest-table": "history"}},
        source_env={"HISTORY_OF": "{{ var.value.nilus_history_of }}"},
    )
