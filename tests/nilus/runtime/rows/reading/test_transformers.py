"""What a transformer reads under the workflow's incremental-key: the key is where it leaves rows out, and only once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.configuration.container import Container
from dlt.common.pipeline import StateInjectableContext
from dlt.extract.exceptions import PipeException
from job_fixture import job_with, run_of

from nilus.errors import SourceError
from nilus.protocol.job import Job, SinkSpec, SourceSpec
from nilus.runtime.engine.context import isolation
from nilus.runtime.rows import workflow_options
from nilus.runtime.rows.reading.decision import Reading

CONFIGURATION = {"providers": {"enable_airflow_secrets": False}, "runtime": {"dlthub_telemetry": False}}
START, END = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
WINDOW = Reading("windowed", START, END, reads_state=False, keeps_state=False)


def _job(tmp_path: Path, strategy: str) -> Job:
    return job_with(
        run=run_of(run_type="scheduled"),
        source=SourceSpec(address="custom://Shop", table="ev", incremental_key="at"),
        sink=SinkSpec(address="duckdb:///x", display_address="duckdb:///x", dataset="raw", strategy=strategy),
        checkout=str(tmp_path),
        base_dir=str(tmp_path),
        work_dir=str(tmp_path),
    )


def _source(parent: dict[str, Any], *, between: bool = False, column: str = "at") -> Any:
    """Entities of four days, and an event of each, through a transformer or two; `parent` are hints of the entities."""

    @dlt.resource(name="ents", **parent)
    def ents() -> Iterator[Any]:
        yield [{"id": day, "at": datetime(2026, 1, day, tzinfo=UTC)} for day in range(1, 5)]

    def pages(items: list[Any]) -> Iterator[Any]:
        yield items

    def ev(items: list[Any]) -> Iterator[Any]:
        yield [{"event": item["id"] * 10, column: item["at"]} for item in items]

    middle = dlt.transformer(pages, name="pages", data_from=ents, write_disposition="replace")
    events = dlt.transformer(ev, name="ev", data_from=middle if between else ents, write_disposition="append")

    @dlt.source(name="shop")
    def shop() -> Any:
        return (ents, middle, events) if between else (ents, events)

    return shop()


def _read(source: Any, tmp_path: Path, reading: Reading, state: dict[str, Any], strategy: str = "append") -> list[int]:
    """Return the events that a run loads."""
    with isolation(str(tmp_path), CONFIGURATION):
        workflow_options.apply(source, _job(tmp_path, strategy), reading, handles_incrementality=False)
        with Container().injectable_context(StateInjectableContext(state=state)):  # type: ignore[arg-type]
            return [item["event"] for item in source.resources["ev"]]


OWN = {"incremental": dlt.sources.incremental("id")}
PARENTS = {
    "replaces its table": ({"write_disposition": "replace"}, False),
    "replaces its table, a transformer between": ({"write_disposition": "replace"}, True),
    "says so in full": ({"write_disposition": {"disposition": "replace"}}, False),
    "goes by a cursor of its own, which a window leaves out": (OWN, False),
    "is not loaded": ({"selected": False}, False),
    "appends, so that the key is applied to it": ({"write_disposition": "append"}, False),
    "says nothing": ({}, False),
}


@pytest.mark.parametrize(("parent", "between"), PARENTS.values(), ids=PARENTS.keys())
def test_each_window_loads_the_events_of_the_window_whatever_the_parent_does(tmp_path, parent, between):
    assert _read(_source(parent, between=between), tmp_path, WINDOW, {}) == [20]


@pytest.mark.parametrize("strategy", ["append", "replace"])
@pytest.mark.parametrize(("parent", "between"), PARENTS.values(), ids=PARENTS.keys())
def test_a_cursor_loads_every_event_once_whatever_the_parent_does(tmp_path, parent, between, strategy):
    state: dict[str, Any] = {}
    reading = Reading("cursor", None, None, reads_state=True, keeps_state=True)
    assert _read(_source(parent, between=between), tmp_path, reading, state, strategy) == [10, 20, 30, 40]
    assert _read(_source(parent, between=between), tmp_path, reading, state, strategy) == []


def test_events_without_the_key_are_refused_where_the_parent_reads_all(tmp_path):
    with pytest.raises(PipeException) as caught:
        _read(_source({"write_disposition": "replace"}, column="when"), tmp_path, WINDOW, {})
    assert isinstance(caught.value.__cause__, SourceError)
    assert caught.value.__cause__.message == "Resource 'ev': a row has no 'at', the incremental-key"
