"""The examples of the custom source guide, a task each.

`dest-table` names a schema of its own for each example, so that their tables do not meet.
"""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

EXAMPLES = {
    "static_source": ("StaticSource", "append"),
    "uri_parameters": ("UriParameterSource?param1=one&param2=two", "append"),
    "incremental_state": ("IncrementalStateSource", "append"),
    "error_handling": ("ErrorHandlingSource", "append"),
    "pagination": ("PaginationSource", "replace"),
    "multi_resource": ("MultiResourceSource", "replace"),
    "table_name": ("TableNameSource", "replace"),
    "default_table_name": ("DefaultTableNameSource", "replace"),
}

with DAG("documentation", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["nilus"]):
    for name, (address, strategy) in EXAMPLES.items():
        NilusCustomSourceOperator(
            task_id=name,
            repo={"url": "{{ var.value.nilus_examples }}/documentation", "base_dir": "my-custom-sources"},
            source={"address": f"custom://{address}", "options": {"source-table": name}},
            sink={
                "address": "dataos://lakehouse",
                "options": {"dest-table": f"doc_{name}", "incremental-strategy": strategy},
            },
        )
