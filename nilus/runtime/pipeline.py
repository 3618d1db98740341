"""One run: extract, normalize, enter the load in the journal, load."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
from dlt.common.json import json as dlt_json
from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.schema.utils import get_write_disposition
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed

from nilus.errors import SourceError
from nilus.runtime import call, destinations, failures, hints, loader, reading, recovery
from nilus.runtime.channel import Channel
from nilus.runtime.context import config_values, isolated
from nilus.runtime.destinations.base import Sink
from nilus.runtime.events import Loaded, Prepared
from nilus.runtime.import_roots import import_roots
from nilus.runtime.job import Job
from nilus.runtime.progress import ProgressCollector

log = logging.getLogger("nilus")

_INTERNAL_PREFIX = "_dlt_"


class _Seconds:
    """Seconds of each step, in the order they ran."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.steps[step] = round(self.steps.get(step, 0.0) + time.monotonic() - started, 3)


def run(job: Job, channel: Channel) -> Loaded:
    """Run the job's source into its sink.

    Args:
        job: the run.
        channel: where events go.

    Raises:
        NilusError: the run failed; what it says is meant for the task log.
    """
    seconds = _Seconds()
    checkout = Path(job.checkout)
    hints.refuse_unavailable(job)
    sink = destinations.sink(job.sink)
    import_roots(Path(job.base_dir), checkout, job.extra_path)
    with isolated(job.work_dir, config_values(job, os.environ)):
        with seconds.of("source"):
            found = loader.find(job.source.address, base_dir=Path(job.base_dir), checkout=checkout)
            handles_incrementality = found.handles_incrementality
            what = reading.decide(job, handles_incrementality=handles_incrementality)
            source = call.call(found, job, interval=(what.start, what.end), environ=os.environ)
            hints.apply(source, job, what, handles_incrementality=handles_incrementality)
        log.info(
            "Source %s (%s) at commit %s reads %s: %s into %s, schema %s",
            found.class_name,
            found.file,
            job.run.commit,
            what.kind,
            ", ".join(source.selected_resources),
            job.sink.display_address,
            job.sink.dataset,
        )
        try:
            return _load(job, channel, source, sink, what, seconds, f"{found.file}:{found.class_name}")
        except PipelineStepFailed as error:
            raise failures.translate(error, checkout=checkout, destination=job.sink.display_address) from error


def pipeline_name(state_key: str) -> str:
    """Return the name dlt keeps a key's state under: recognisable, a valid folder name, unique by a digest."""
    readable = re.sub(r"[^a-z0-9]+", "_", state_key.lower()).strip("_")[:40]
    return f"nilus_{readable}_{hashlib.sha256(state_key.encode()).hexdigest()[:10]}"


def _load(
    job: Job,
    channel: Channel,
    source: DltSource,
    sink: Sink,
    what: reading.Reading,
    seconds: _Seconds,
    source_name: str,
) -> Loaded:
    pipeline = dlt.pipeline(
        pipeline_name=pipeline_name(job.run.state_key),
        pipelines_dir=str(Path(job.work_dir) / "pipelines"),
        destination=sink.destination(),
        dataset_name=job.sink.dataset,
        progress=ProgressCollector(channel.send),
    )
    propagate_load_id: Any = {"propagation": {"root": {"_dlt_load_id": "_dlt_load_id"}}}
    DataItemNormalizer.update_normalizer_config(source.schema, propagate_load_id)
    with seconds.of("settle"), sink.exclusive():
        pipeline.sync_destination()
        settlement = recovery.settle(job, what, sink.journal(pipeline), channel)
    # After the sync: before it, the destination's copy of the state would win.
    with pipeline.managed_state() as state:
        state["sources"] = dlt_json.typed_loads(json.dumps(settlement.state))
    with seconds.of("extract"):
        pipeline.extract(
            source,
            loader_file_format=sink.file_format,  # type: ignore[arg-type]
            refresh="drop_resources" if job.sink.full_refresh else None,
        )
    with seconds.of("normalize"):
        normalized = pipeline.normalize()
    load_ids = list(pipeline.list_normalized_load_packages())
    if len(load_ids) > 1:
        raise SourceError(
            "The source made more than one load package",
            expected="one source, one schema, one package a run",
            found=f"{len(load_ids)} packages",
            remedy="return one source, not several, from nilus_source",
        )
    rows = {
        table: count
        for table, count in (normalized.row_counts if normalized else {}).items()
        if not table.startswith(_INTERNAL_PREFIX)
    }
    channel.send(Prepared(load_ids=load_ids, tables=list(rows)))
    if load_ids:
        with seconds.of("load"), sink.exclusive():
            sink.journal(pipeline).enter(job.run, load_ids, source=source_name)
            pipeline.load().raise_on_failed_jobs()
    else:
        log.info("Nothing new: no rows, and no change of state")
    return Loaded(
        load_ids=load_ids,
        tables=_tables(pipeline, source, rows),
        dataset=pipeline.dataset_name,
        destination=sink.name,
        reading=what.kind,
        keeps_state=what.keeps_state,
        state=_state(pipeline),
        seconds=seconds.steps,
        interval=what.interval,
    )


def _tables(pipeline: dlt.Pipeline, source: DltSource, rows: dict[str, int]) -> dict[str, dict[str, Any]]:
    known = pipeline.schemas[source.schema.name].tables if rows else {}
    return {
        table: {
            "rows": count,
            "write_disposition": get_write_disposition(known, table) if table in known else None,
        }
        for table, count in rows.items()
    }


def _state(pipeline: dlt.Pipeline) -> dict[str, Any]:
    """Return the `sources` subtree as plain JSON; dlt marks dates, decimals and bytes inside its strings."""
    state: dict[str, Any] = json.loads(dlt_json.typed_dumps(pipeline.state.get("sources", {})))
    return state
