"""A run's load: its packages entered in the journal and loaded, and the tables they fill."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.common.destination.exceptions import DestinationException
from dlt.common.schema.utils import get_write_disposition
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed

from nilus.protocol.channel import Channel
from nilus.protocol.job import Job
from nilus.runtime.engine import failures, reserved_names, stored_schema
from nilus.runtime.engine.context import empty_staging_afterwards
from nilus.runtime.recovery import fence, settle
from nilus.runtime.rows.masks import masking
from nilus.runtime.rows.reading import decision
from nilus.runtime.sinks.base import Sink, StagingLock
from nilus.runtime.source import class_finder

log = logging.getLogger("nilus")

_INTERNAL_PREFIX = "_dlt_"
_LOAD_ATTEMPTS = 5


@dataclass
class Seconds:
    """Seconds of each step, in the order they ran."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Count what is done inside to the step."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.steps[step] = round(self.steps.get(step, 0.0) + time.monotonic() - started, 3)


@dataclass(frozen=True)
class Loading:
    """What the steps of a run share, once the source has been called."""

    job: Job
    channel: Channel
    found: class_finder.FoundClass
    source: DltSource
    sink: Sink
    what: decision.Reading
    pipeline: dlt.Pipeline
    file_format: str | None
    config: dict[str, Any]
    seconds: Seconds
    masks: masking.Masking | None

    @property
    def code(self) -> str:
        """Where the source is: file and class."""
        return f"{self.found.file}:{self.found.class_name}"


def load_packages(
    run: Loading,
    settlement: settle.Settlement,
    tables: dict[str, dict[str, Any]],
    load_ids: list[str],
    *,
    source: str | None = None,
) -> None:
    """Enter the load in the journal, look whether another run did so as well, and load."""
    (load_id,) = load_ids
    with ExitStack() as held:
        staged = [name for name, table in tables.items() if table["write_disposition"] != "append"]
        lock = StagingLock()
        if staged:
            lock = held.enter_context(run.sink.staging(run.pipeline, staged))
            empty_staging_afterwards(run.config)
        journal = run.sink.journal(run.pipeline)
        tokens = journal.enter(run.job.run, run.what, load_ids, source=source or run.code, session=lock.session)
        if run.what.keeps_state or run.what.kind == "windowed":
            settle.confirm(run.job, run.what, settlement, load_ids, journal, run.channel)
        held.enter_context(fence.writing(load_id, run.job.run.state_key, tokens[load_id], lock.held))
        for attempt in range(1, _LOAD_ATTEMPTS + 1):
            try:
                stored_schema.make_missing_tables(run.pipeline, tables)
                run.pipeline.load().raise_on_failed_jobs()
            except (PipelineStepFailed, DestinationException) as error:
                errors = failures.chain(error)
                if attempt == _LOAD_ATTEMPTS or failures.is_of_job(errors) or not run.sink.is_collision(errors):
                    raise
                log.info("Another run makes the same tables in this moment: loading again when it is done")
                if attempt == 1:
                    held.enter_context(run.sink.tables(run.pipeline))
            else:
                return


def tables_of(run: Loading, rows: dict[str, int], load_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the source's tables that the packages load, those among them that get no rows, but are emptied."""
    loaded = dict.fromkeys(
        job.job_file_info.table_name
        for load_id in load_ids
        for job in run.pipeline.get_load_package_info(load_id).jobs["new_jobs"]
    )
    if not loaded:
        return {}
    schema = run.pipeline.schemas[run.source.schema.name]
    reserved_names.refuse(schema, rows)
    known = schema.tables
    return {
        table: {
            "rows": rows.get(table, 0),
            "write_disposition": get_write_disposition(known, table),
            "columns": {name: column.get("data_type") for name, column in known[table]["columns"].items()},
        }
        for table in sorted(loaded)
        if not table.startswith(_INTERNAL_PREFIX)
    }
