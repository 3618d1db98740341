"""The random users of the documentation: an unchanged workflow document, run by a DAG."""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("random_users", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["nilus"]):
    NilusCustomSourceOperator(task_id="load_users", workflow="random_users.yaml")
