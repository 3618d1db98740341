from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("hanging_until_timeout", schedule=None):
    NilusCustomSourceOperator(
        task_id="load",
        repo={"url": "{{ var.value.nilus_test_sources }}"},
        source={
            "address": "custom://Hanging?folder={{ dag_run.conf['folder'] }}",
            "options": {"source-table": "nothing"},
        },
        sink={"address": "dataos://lakehouse", "options": {"dest-table": "hanging"}},
        execution_timeout=timedelta(seconds=15),
    )
