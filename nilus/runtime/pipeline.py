"""One run: extract, normalize, enter the load in the journal, load."""

from __future__ import annotations

import functools
import logging
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import dlt
from dlt.common.schema.utils import get_write_disposition
from dlt.extract import DltSource

from nilus.errors import SourceError
from nilus.protocol.channel import Channel
from nilus.protocol.events import Loaded, Prepared
from nilus.protocol.job import Job
from nilus.runtime import sinks, support
from nilus.runtime.columns import batching
from nilus.runtime.columns.pandas_import import without_pandas
from nilus.runtime.engine import endings, failures, pipeline_state, reserved_names, stored_schema
from nilus.runtime.engine.context import config_values, interval_context, isolation, write_files
from nilus.runtime.engine.internals.futures import replace_endings
from nilus.runtime.engine.internals.load_ids import load_ids_after
from nilus.runtime.engine.internals.naming import names_counted_in_bytes
from nilus.runtime.engine.internals.normalizer import copy_load_id_to_child_tables
from nilus.runtime.engine.progress import ProgressCollector
from nilus.runtime.engine.source_failures import explain_failures
from nilus.runtime.loading import Loading, Seconds, load_packages, tables_of
from nilus.runtime.recovery import package, settle, stored_packages
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.rows import workflow_options
from nilus.runtime.rows.masks import masking
from nilus.runtime.rows.reading import decision
from nilus.runtime.rows.steps import frame_columns, type_hints
from nilus.runtime.source import call, class_finder, documentation
from nilus.runtime.source.import_roots import import_roots

log = logging.getLogger("nilus")


def run(job: Job, channel: Channel) -> Loaded:
    """Run the job's source into its sink.

    Args:
        job: the run.
        channel: where events go.

    Raises:
        NilusError: the run failed; what it says is meant for the task log.
    """
    seconds = Seconds()
    checkout = Path(job.place.checkout)
    import_roots(Path(job.place.base_dir), checkout, job.place.extra_path)
    config = config_values(job, os.environ)
    with isolation(job.place.work_dir, config):
        find = functools.partial(
            class_finder.find, base_dir=Path(job.place.base_dir), checkout=checkout, scratch=Path(job.place.work_dir)
        )
        sink = sinks.sink(job.sink, find=find)
        support.refuse_options(job.sink, sink)
        destination = sink.destination()
        job = replace(job, sink=sink.spec)
        file_format = sink.file_format(destination)
        write_files(config, rows=sink.file_rows, compressed=sink.keeps_files)
        with seconds.of("source"):
            found = find(job.source.address)
            documentation.tell(found, channel)
            what = decision.decide(job, handles_incrementality=found.handles_incrementality)
        by_bytes = names_counted_in_bytes() if sink.counts_name_bytes else nullcontext()
        with interval_context(what.start, what.end), by_bytes:
            with seconds.of("source"):
                source, masks = _call(found, job, what)
                workflow_options.apply_table_format(source, sink.table_format)
                support.refuse_unsupported(job, what, source, sink, destination)
                frame_columns.apply(
                    source,
                    job.source.type_hints,
                    keeps_nested=bool(destination.capabilities().supports_nested_types) and file_format != "csv",
                    is_csv=sink.arrow_as_csv and file_format in (None, "csv"),
                )
            where = failures.Where(
                checkout, job.sink.display_address, sink.secrets, sink.refusals, hides_rows=masks is not None
            )
            replace_endings(lambda resource, error: endings.explain(error, resource))
            with failures.explain_failures(where):
                pipeline = _pipeline(
                    job, channel, destination, sink.staging_files(), Path(job.place.work_dir) / "pipelines"
                )
                return _load(
                    Loading(job, channel, found, source, sink, what, pipeline, file_format, config, seconds, masks)
                )


def _pipeline(job: Job, channel: Channel, destination: Any, staging: Any, folder: Path) -> dlt.Pipeline:
    return dlt.pipeline(
        pipeline_name=pipeline_state.pipeline_name(job.run.state_key),
        pipelines_dir=str(folder),
        destination=destination,
        staging=staging,
        dataset_name=job.sink.dataset,
        progress=ProgressCollector(channel.send),
    )


def _call(found: class_finder.FoundClass, job: Job, what: decision.Reading) -> tuple[DltSource, masking.Masking | None]:
    source = call.call(found, job, interval=(what.start, what.end), environ=os.environ)
    with explain_failures(f"{found}: putting the workflow's options on its resources", found.checkout):
        masks = workflow_options.apply(source, job, what, handles_incrementality=found.handles_incrementality)
    log.info(
        "Source %s at commit %s reads %s: %s into %s, schema %s",
        found,
        job.run.commit,
        what.kind,
        ", ".join(source.selected_resources),
        job.sink.display_address,
        job.sink.dataset,
    )
    return source, masks


def _load(run: Loading) -> Loaded:
    settlement = _settle(run)
    if settlement.done is not None:
        return _loaded_before(run, settlement)
    start = settlement.state
    rows, load_ids = _extract(run, settlement.newest)
    state = pipeline_state.to_plain(dict(run.pipeline.state.get("sources", {})))
    if run.what.warns_of_state:
        pipeline_state.warn_of_unkept(state, start, run.source)
    tables = tables_of(run, rows, load_ids)
    if not (tables or run.job.sink.full_refresh or (run.what.keeps_state and pipeline_state.differs(state, start))):
        load_ids = []
    run.channel.send(Prepared(load_ids=load_ids, tables=list(tables)))
    if load_ids:
        if run.job.options.keeps_packages:
            _store(run, load_ids, start)
        with run.seconds.of("load"), run.sink.exclusive():
            load_packages(run, settlement, tables, load_ids)
        run.sink.after_load()
    else:
        log.info("Nothing new: no rows, and no change of state")
    return _result(run, load_ids, tables, state)


def _result(run: Loading, load_ids: list[str], tables: dict[str, dict[str, Any]], state: dict[str, Any]) -> Loaded:
    return Loaded(
        load_ids=load_ids,
        tables=tables,
        dataset=run.sink.dataset(run.pipeline),
        destination=run.sink.name,
        reading=run.what.kind,
        keeps_state=run.what.keeps_state,
        state=state if run.what.keeps_state else {},
        seconds=run.seconds.steps,
        interval=run.what.interval,
    )


def _loaded_before(run: Loading, settlement: settle.Settlement) -> Loaded:
    """Return the result of an earlier try of this very run, which loaded everything and died after that."""
    done = settlement.done
    rows = run.sink.journal(run.pipeline).count(done.load_id) if done else {}
    known = run.pipeline.schemas[run.source.schema.name].tables
    tables = {
        table: {"rows": count, "write_disposition": get_write_disposition(known, table) if table in known else None}
        for table, count in rows.items()
    }
    return _result(run, [done.load_id] if done else [], tables, settlement.state)


def _settle(run: Loading) -> settle.Settlement:
    """Settle what earlier tries left, and give dlt the schema and the state to start from."""
    with run.seconds.of("settle"), run.sink.exclusive():
        run.pipeline.sync_destination()
        stored_schema.restore(run.pipeline, run.source.schema.name)
        run.sink.finish_loads(run.pipeline)
        journal = run.sink.journal(run.pipeline)
        done = _recover(run, journal) if run.job.options.keeps_packages else None
        settlement = done or settle.settle(run.job, run.what, journal, run.channel, kept=_reloadable(run))
        settlement = replace(settlement, newest=settle.newest(run.job, journal))
    name = run.source.schema.name
    if run.job.sink.full_refresh:
        settlement = replace(settlement, state=pipeline_state.without_selected(settlement.state, run.source))
    elif name in run.pipeline.schemas:
        hints = run.job.source.type_hints
        type_hints.warn_of_other_types(run.pipeline.schemas[name], hints, run.source.selected_resources)
    if run.masks is not None:
        known = run.pipeline.schemas[name] if name in run.pipeline.schemas else None  # noqa: SIM401 - its get raises
        run.masks.begin(known, run.source.selected_resources, is_made_anew=run.job.sink.full_refresh)
    # After the sync: before it, the destination's copy of the state would win.
    with run.pipeline.managed_state() as managed:
        pipeline_state.put(settlement.state, managed)
    return settlement


def _store(run: Loading, load_ids: list[str], start: dict[str, Any]) -> None:
    """Keep what was extracted where another worker finds it."""
    with run.seconds.of("store"):
        for load_id in load_ids:
            described = package.describe(run.pipeline, load_id, run.job, run.what, source=run.code, state=start)
            stored_packages.store(run.channel, *described)


def _recover(run: Loading, journal: Journal) -> settle.Settlement | None:
    """Load what was extracted and not loaded; return what is settled if an earlier try of this very run is complete."""
    done = stored_packages.recover(run.job, run.what, journal, run.channel, lambda stored: _fetch_package(run, stored))
    run.pipeline.activate()
    if done is None:
        return None
    log.info("Load %s of this very run is complete: nothing is extracted again", done.load_id)
    carried = journal.carried_state(done.load_id) if run.what.keeps_state else {}
    state = run.job.state.sources if carried is None else carried
    return settle.Settlement(state, frozenset({*run.job.state.known_load_ids, done.load_id}), done=done)


def _fetch_package(run: Loading, stored: stored_packages.StoredPackage) -> stored_packages.Load:
    """Bring a package into a pipeline of its own; return what loads it."""
    found = stored.package
    folder = Path(run.job.place.work_dir) / "packages" / found.load_id
    pipeline = _pipeline(run.job, run.channel, run.pipeline.destination, run.pipeline.staging, folder / "pipelines")
    package.check(found, pipeline, run.job, schema=run.source.schema.name, where=stored.where)
    stored_packages.fetch(run.channel, found, folder / "files")
    package.install(found, folder / "files", pipeline)
    loading = replace(run, pipeline=pipeline, what=found.reading, job=replace(run.job, run=found.run))

    def load(known: frozenset[str]) -> None:
        pipeline.activate()
        tables = tables_of(loading, {}, [found.load_id])
        load_packages(loading, settle.Settlement({}, known), tables, [found.load_id], source=found.source)
        run.pipeline.schemas.save_schema(pipeline.default_schema)

    return load


def _reloadable(run: Loading) -> set[str]:
    """Return the tables into which the same rows may be loaded again: the replaced and the merged ones."""
    name = run.source.schema.name
    known = run.pipeline.schemas[name].tables if name in run.pipeline.schemas else {}
    return {table for table in known if get_write_disposition(known, table) != "append"}


def _extract(run: Loading, newest: float) -> tuple[dict[str, int], list[str]]:
    """Extract and normalize, under load ids larger than another; return the rows of each table, and the load ids."""
    copy_load_id_to_child_tables(run.source.schema)
    page_size = min(run.job.source.page_size, run.sink.file_rows)
    with batching.batching(
        run.source, run.job.options.batching, run.file_format, page_size=page_size, table_writer=run.sink.table_writer
    ):
        with run.seconds.of("extract"), load_ids_after(newest):
            extracted = run.pipeline.extract(
                run.source,
                loader_file_format=run.file_format,  # type: ignore[arg-type]
                refresh="drop_resources" if run.job.sink.full_refresh else None,
            )
        reserved_names.refuse(run.pipeline.schemas[run.source.schema.name], reserved_names.extracted_rows(extracted))
        if run.masks is not None:
            run.masks.refuse_unseen()
        with run.seconds.of("normalize"), without_pandas() if run.file_format == "parquet" else nullcontext():
            normalized = run.pipeline.normalize()
    load_ids = list(run.pipeline.list_normalized_load_packages())
    if len(load_ids) > 1:
        raise SourceError(
            "The source made more than one load package",
            expected="one source, one schema, one package a run",
            found=f"{len(load_ids)} packages",
            remedy="return one source, not several, from nilus_source",
        )
    return dict(normalized.row_counts) if normalized else {}, load_ids
