from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("telling", schedule=None):
    NilusCustomSourceOperator(
        task_id="load",
        repo={"url": "{{ var.value.nilus_test_sources }}"},
        source={
            "address": "custom://Telling?rows={{ dag_run.conf['rows'] }}",
            "options": {"source-table": "orders", "mask": {"card": "hash"}},
        },
        sink={"address": "dataos://lakehouse", "options": {"dest-table": "telling", "incremental-strategy": "append"}},
    )
