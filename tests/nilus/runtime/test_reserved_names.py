"""Tables of the journal and of dlt: no source fills or declares one, however it names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.schema.utils import new_table

from nilus.errors import SourceError
from nilus.runtime.engine import reserved_names


def _hinted(resource: Any) -> Any:
    resource.apply_hints(table_name="_airflow_x")
    return resource


def _declaring() -> Any:
    dlt.current.source_schema().update_table(
        new_table("_airflow_loads", columns=[{"name": "id", "data_type": "bigint"}], resource="rows")
    )
    yield {"id": 1}


ROW = [{"id": 1, "t": "_airflow_loads"}]
NAMES: dict[str, Callable[[], Any]] = {
    "a resource": lambda: dlt.resource(ROW, name="_airflow_loads"),
    "in another spelling": lambda: dlt.resource(ROW, name="_Airflow-Loads"),
    "a hint": lambda: dlt.resource(ROW, name="rows", table_name="_airflow_loads"),
    "a hint laid on": lambda: _hinted(dlt.resource(ROW, name="rows")),
    "a row": lambda: dlt.resource(ROW, name="rows", table_name=lambda row: row["t"]),
    "a mark": lambda: dlt.resource([dlt.mark.with_table_name({"id": 1}, "_airflow_loads")], name="rows"),
    "a nested table": lambda: dlt.resource([{"loads": [{"id": 1}]}], name="_airflow"),
    "only declared": lambda: dlt.resource(_declaring, name="rows"),
    "a table of dlt": lambda: dlt.resource(ROW, name="rows", table_name=lambda row: "_dlt_loads"),
    "the state of dlt": lambda: dlt.resource(ROW, name="rows", table_name=lambda row: "_dlt_pipeline_state"),
    "a resource of dlt": lambda: dlt.resource(ROW, name="_dlt_version"),
}


def _run(folder: Path, resource: Callable[[], Any]) -> None:
    pipeline = dlt.pipeline("p", pipelines_dir=str(folder), destination="duckdb", dataset_name="raw")
    source = dlt.source(lambda: resource(), name="shop")()
    extracted = pipeline.extract(source)
    schema = pipeline.schemas["shop"]
    reserved_names.refuse(schema, reserved_names.extracted_rows(extracted))
    normalized = pipeline.normalize()
    reserved_names.refuse(pipeline.schemas["shop"], normalized.row_counts)


@pytest.mark.parametrize("resource", NAMES.values(), ids=NAMES.keys())
def test_a_reserved_name_is_refused_for_good(tmp_path: Path, resource: Callable[[], Any]) -> None:
    with pytest.raises(SourceError, match="is not a table of its own") as caught:
        _run(tmp_path, resource)
    assert not caught.value.retryable


@pytest.mark.parametrize("name", ["airflow_loads", "dlt_x", "orders", "_airflowx"])
def test_other_names_are_not(tmp_path: Path, name: str) -> None:
    _run(tmp_path, lambda: dlt.resource([{"id": 1, "more": [{"id": 2}]}], name=name))
