"""What a source says itself stands, and the log says once what of the workflow does not apply."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.configuration.container import Container
from dlt.common.pipeline import StateInjectableContext
from dlt.extract.incremental import Incremental
from job_fixture import job_with, run_of

from nilus.protocol.job import SinkSpec, SourceSpec
from nilus.runtime.engine.context import isolation
from nilus.runtime.rows import workflow_options
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.source import disposition
from nilus.workflow.models import Source

CONFIGURATION = {"providers": {"enable_airflow_secrets": False}, "runtime": {"dlthub_telemetry": False}}
FULL = Reading("full", None, None, reads_state=False, keeps_state=False)
CURSOR = Reading("cursor", None, None, reads_state=True, keeps_state=True)


@pytest.fixture(autouse=True)
def incrementals_of_dlt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bind", "_make_or_get_transformer", "_get_last_value"):
        monkeypatch.setattr(Incremental, name, getattr(Incremental, name))


def _apply(
    source: Any,
    tmp_path: Path,
    reading: Reading = FULL,
    *,
    own: bool = False,
    sink: dict[str, Any] | None = None,
    **spec: Any,
) -> None:
    job = job_with(
        run=run_of(),
        source=SourceSpec(address="custom://Shop", table="t", **spec),
        sink=SinkSpec(**{"address": "duckdb:///x", "display_address": "x", "dataset": "raw", **(sink or {})}),
        checkout=str(tmp_path),
        base_dir=str(tmp_path),
        work_dir=str(tmp_path),
    )
    workflow_options.apply(source, job, reading, handles_incrementality=own)


def _source(names: tuple[str, ...] = ("orders",), rows: Any = ({"id": 1},), **options: Any) -> Any:
    @dlt.source(name="shop", **options)
    def shop() -> Any:
        return [dlt.resource(list(rows), name=name) for name in names]

    disposition.mark_unset()
    source = shop()
    for resource in source.resources.values():
        disposition.forget_unset(resource)
    return source


@pytest.mark.parametrize(
    ("source", "workflow", "nesting"),
    [
        ({"max_table_nesting": 1}, {}, 1),
        ({}, {}, 0),
        ({"max_table_nesting": 1}, {"max_table_nesting": 0}, 0),
        ({"max_table_nesting": 0}, {"max_table_nesting": 2}, 2),
    ],
)
def test_nesting_that_the_source_says_stands_unless_the_workflow_says_another(tmp_path, source, workflow, nesting):
    with isolation(str(tmp_path), CONFIGURATION):
        made = _source(**source)
        spec = Source(address="custom://Shop", table="t", **workflow).spec_fields()
        _apply(made, tmp_path, max_table_nesting=spec["max_table_nesting"])
    assert made.max_table_nesting == nesting


@pytest.mark.parametrize("column", ["updatedAt", "updated_at", "Updated At", "UPDATED-AT"])
@pytest.mark.parametrize("shape", ["rows", "table"])
def test_a_key_is_found_in_the_spelling_of_the_rows(tmp_path, column, shape):
    import pyarrow as pa

    rows = [{"id": id, column: id} for id in (1, 2)]
    state: dict[str, Any] = {}
    read = []
    with isolation(str(tmp_path), CONFIGURATION):
        for _ in range(2):
            source = _source(rows=rows if shape == "rows" else [pa.Table.from_pylist(rows)])
            _apply(source, tmp_path, CURSOR, sink={"strategy": "append"}, incremental_key="updated_at")
            with Container().injectable_context(StateInjectableContext(state=state)):  # type: ignore[arg-type]
                read.append(sum(1 if shape == "rows" else item.num_rows for item in source.resources["orders"]))
    assert read == [2, 0]


def test_a_table_name_that_does_not_apply_is_told_once(tmp_path, caplog):
    with isolation(str(tmp_path), CONFIGURATION):
        _apply(_source(("orders", "users", "items")), tmp_path, sink={"table": "t"})
    assert caplog.text.count("dest-table names the table 't', which is ignored") == 1


@pytest.mark.parametrize(("strategy", "level"), [("merge", logging.WARNING), ("replace", logging.INFO)])
def test_a_strategy_that_a_source_with_its_own_cursor_leaves_out_is_told(tmp_path, caplog, strategy, level):
    caplog.set_level(logging.INFO, "nilus")
    with isolation(str(tmp_path), CONFIGURATION):
        source = _source()
        _apply(source, tmp_path, own=True, sink={"strategy": strategy})
    told = [record for record in caplog.records if f"incremental-strategy {strategy} does not apply" in record.message]
    assert [record.levelno for record in told] == [level]
    assert source.resources["orders"].write_disposition == "append"
