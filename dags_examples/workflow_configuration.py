"""The workflow of the custom source guide, as it is printed there; the DAG says where the repository really is."""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("workflow_configuration", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["nilus"]):
    NilusCustomSourceOperator(
        task_id="load_my_data",
        workflow="workflow_configuration.yaml",
        repo={"url": "{{ var.value.nilus_examples }}/documentation"},
    )
