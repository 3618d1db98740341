from airflow.sdk import DAG, Asset, Variable, get_current_context, task

ORDERS = Asset("orders of the shop", f"duckdb://{Variable.get('nilus_test_lake')}/telling/orders")

with DAG("told", schedule=[ORDERS]):

    @task
    def hear():
        return [event.extra for event in get_current_context()["triggering_asset_events"][ORDERS]]

    hear()
