"""What a run asks of its destination, against what the destination can do: refused before anything is extracted."""

from __future__ import annotations

import logging
from typing import Any

from dlt.extract import DltResource, DltSource
from dlt.extract.exceptions import DataItemRequiredForDynamicTableHints

from nilus.errors import WorkflowError
from nilus.protocol.job import Job, SinkSpec
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.sinks.base import Sink

log = logging.getLogger("nilus")

_KEYED = ("upsert", "insert-only", "cdc")
_OF_SOME_SINKS = ("partition_by", "cluster_by", "staging_bucket")


def refuse_options(spec: SinkSpec, sink: Sink) -> None:
    """Refuse options that the sink does not support, instead of loading without them.

    Args:
        spec: the workflow's `sink` block.
        sink: where rows go.

    Raises:
        WorkflowError: such an option is set.
    """
    for name in _OF_SOME_SINKS:
        if getattr(spec, name) and name not in sink.supports:
            option = f"sink.options.{name.replace('_', '-')}"
            raise WorkflowError(
                f"The sink {sink.name} does not support {option}",
                expected="an option that this sink supports",
                found=f"{option} is set",
                remedy=f"Remove {option}, or choose a sink that supports it",
            )


def refuse_unsupported(job: Job, reading: Reading, source: DltSource, sink: Sink, destination: Any) -> None:
    """Refuse ways of writing that the destination does not have.

    Resources whose write disposition or table depends on each row are not looked at here.

    Args:
        job: the run.
        reading: what it reads.
        source: with the workflow's options on its resources.
        sink: where rows go.
        destination: what the sink's `destination` returned.

    Raises:
        WorkflowError: a resource merges in a way the destination cannot; or it appends, the run keeps state, and the
            destination cannot remove what an interrupted load left.
    """
    for resource in source.selected_resources.values():
        try:
            table: Any = resource.compute_table_schema()
        except DataItemRequiredForDynamicTableHints:
            continue
        disposition = table.get("write_disposition")
        if disposition == "merge" and not sink.merges_itself:
            _refuse_merge(resource, table, sink, destination.capabilities())
        elif disposition == "append" and reading.keeps_state and not sink.exactly_once:
            _refuse_append(job, resource, sink)


def _refuse_merge(resource: DltResource, table: Any, sink: Sink, capabilities: Any) -> None:
    supported = list(capabilities.supported_merge_strategies or ())
    if capabilities.merge_strategies_selector:
        supported = list(capabilities.merge_strategies_selector(supported, table_schema=table))
    if not supported:
        raise _unsupported_error(resource, "merge", sink, supported)
    wanted = table.get("x-merge-strategy")
    if wanted is not None and wanted not in supported:
        raise _unsupported_error(resource, wanted, sink, supported)
    if (wanted or supported[0]) not in _KEYED:
        return
    columns = table["columns"].values()
    if any(column.get("merge_key") for column in columns):
        raise _unsupported_error(resource, "delete+insert (a merge_key)", sink, supported)
    if not any(column.get("primary_key") for column in columns):
        raise WorkflowError(
            f"Resource {resource.name!r} is merged into {sink.name} by its primary key, and has none",
            expected="source.options.primary-key, or primary_key on the resource",
            found="no primary key",
            remedy="name the columns that identify a row in primary-key, or choose append or replace",
        )


def _unsupported_error(resource: DltResource, strategy: str, sink: Sink, supported: list[str]) -> WorkflowError:
    ways = ", ".join(["append", "replace", *(f"merge as {name}" for name in supported)])
    return WorkflowError(
        f"{sink.name} cannot write resource {resource.name!r} by {strategy}",
        expected=ways,
        found=strategy,
        remedy=sink.merge_remedy,
    )


def _refuse_append(job: Job, resource: DltResource, sink: Sink) -> None:
    if job.options.at_least_once:
        log.warning(
            "Resource %r is appended to %s at least once: rows of an interrupted load stay there, and are loaded again",
            resource.name,
            sink.name,
        )
        return
    raise WorkflowError(
        f"{sink.name} cannot take back what an interrupted load left in the table of resource {resource.name!r}",
        expected="a sink that can, or a resource that is replaced or merged",
        found="rows that are appended by a run that keeps state",
        remedy="choose replace or merge, or accept duplicates after an interruption: at_least_once=True",
    )
