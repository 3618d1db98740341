from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_nilus.operators.resources import nilus_resources

with DAG("distributed", schedule=None):
    nilus_resources(
        "shop",
        repo={"url": "{{ var.value.nilus_test_sources }}"},
        source={
            "address": "custom://Held",
            "options": {"source-table": "all", "folder": "{{ dag_run.conf['folder'] }}"},
        },
        sink={
            "address": "dataos://warehouse",
            "options": {"dest-table": "shop", "incremental-strategy": "append", "loader-file-size": 200},
        },
        retries=3,
        retry_delay=timedelta(seconds=1),
    )
