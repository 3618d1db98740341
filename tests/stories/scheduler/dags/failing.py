from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

REPO = {"url": "{{ var.value.nilus_test_sources }}"}
SINK = {"address": "dataos://lakehouse", "options": {"dest-table": "failing"}}

with DAG("failing", schedule=None):
    NilusCustomSourceOperator(
        task_id="raises",
        repo=REPO,
        source={"address": "custom://Failing", "options": {"source-table": "orders"}},
        sink=SINK,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
    NilusCustomSourceOperator(
        task_id="names_no_class",
        repo=REPO,
        source={"address": "custom://NoSuchSource", "options": {"source-table": "orders"}},
        sink=SINK,
        retries=2,
        retry_delay=timedelta(seconds=1),
    )
