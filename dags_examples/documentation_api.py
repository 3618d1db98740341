"""API integration out of the custom source guide: URL and key come from Airflow and are filled into the address."""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("documentation_api", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["nilus"]):
    NilusCustomSourceOperator(
        task_id="load_api",
        repo={"url": "{{ var.value.nilus_examples }}/documentation", "base_dir": "my-custom-sources"},
        source={
            "address": "custom://ApiIntegrationSource?api_url={API_URL}&api_key={API_KEY}&endpoint=users",
            "options": {"source-table": "users"},
        },
        sink={"address": "dataos://lakehouse", "options": {"dest-table": "api"}},
        source_env={
            "API_URL": "{{ conn.shop_api.host }}",
            "API_KEY": "{{ conn.shop_api.password }}",
        },
    )
