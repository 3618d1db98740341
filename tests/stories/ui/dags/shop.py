"""Loads the shop's orders, then tells of it."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("shop", schedule=None, doc_md=__doc__):
    load = NilusCustomSourceOperator(
        task_id="load_orders",
        workflow="shop.yaml",
        git_conn_id="sources",
        source_env={"API_TOKEN": "{{ conn.shop_api.password }}"},
    )
    load >> EmptyOperator(task_id="tell")
