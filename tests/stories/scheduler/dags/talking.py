from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("talking", schedule=None):
    NilusCustomSourceOperator(
        task_id="load",
        repo={"url": "{{ var.value.nilus_test_sources }}"},
        source={"address": "custom://Talking", "options": {"source-table": "orders"}},
        sink={"address": "dataos://lakehouse", "options": {"dest-table": "talking"}},
    )
