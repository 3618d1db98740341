from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("careless", schedule=None):
    for task_id in ("succeeds", "fails"):
        NilusCustomSourceOperator(
            task_id=task_id,
            repo={"url": "{{ var.value.nilus_test_sources }}"},
            source={
                "address": "custom://Careless?shop=1&key={ADDRESS_KEY}",
                "options": {"source-table": task_id},
            },
            sink={"address": "dataos://warehouse", "options": {"dest-table": task_id}},
            source_env={
                "API_TOKEN": "{{ conn.shop_api.password }}",
                "PRIVATE_KEY": "{{ conn.shop_signing.password }}",
                "ADDRESS_KEY": "{{ var.value.shop_key }}",
            },
        )
