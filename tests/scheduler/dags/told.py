from airflow.sdk import DAG, Asset, Variable, get_current_context, task

with DAG("told", schedule=[Asset(f"duckdb:///{Variable.get('nilus_test_lake').strip('/')}/telling/orders")]):

    @task
    def hear():
        events = get_current_context()["triggering_asset_events"]
        return [event.extra for of_asset in events.values() for event in of_asset]

    hear()
