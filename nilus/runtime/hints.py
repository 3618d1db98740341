"""What the workflow asks of the resources: dispositions, keys, the incremental, nesting, types, limits.

What a resource says of itself stands; the workflow's options apply to resources that say nothing.
"""

from __future__ import annotations

import logging
from typing import Any

import dlt
from dlt.extract import DltResource, DltSource

from nilus.errors import WorkflowError
from nilus.runtime.job import Job
from nilus.runtime.reading import Reading

log = logging.getLogger("nilus")

_NOT_YET = {
    "mask": "source.options.mask",
    "partition_by": "sink.options.partition-by",
    "cluster_by": "sink.options.cluster-by",
    "staging_bucket": "sink.options.staging-bucket",
}


def refuse_unavailable(job: Job) -> None:
    """Refuse options of the contract that this version does not carry out, instead of loading without them.

    Raises:
        WorkflowError: such an option is set.
    """
    for name, path in _NOT_YET.items():
        if getattr(job.source, name, None) or getattr(job.sink, name, None):
            raise WorkflowError(
                f"{path} is not available in this version",
                expected=f"a workflow without {path}",
                found="the option is set",
                remedy="remove it, or wait for a version that carries it out; nothing was loaded",
            )


def apply(source: DltSource, job: Job, reading: Reading, *, handles_incrementality: bool) -> None:
    """Put the workflow's options on the selected resources of `source`, in place.

    Raises:
        WorkflowError: `merge` without a key, `delete+insert` without an incremental key.
    """
    source.max_table_nesting = job.source.max_table_nesting
    if job.source.yield_limit is not None:
        source.add_limit(job.source.yield_limit)
    _apply_types(source, job.source.type_hints)
    resources = list(source.selected_resources.values())
    for resource in resources:
        own_disposition = _own(resource, "write_disposition") is not None
        _apply_table(resource, job.sink.table, alone=len(resources) == 1)
        if job.source.primary_key and _own(resource, "primary_key") is None:
            resource.apply_hints(primary_key=job.source.primary_key)
        _apply_incremental(resource, job, reading)
        if own_disposition:
            _warn_of_reset(resource, reading)
        elif handles_incrementality or job.sink.strategy == "none":
            resource.apply_hints(write_disposition="append")
        else:
            _apply_strategy(resource, job)


def _own(resource: DltResource, hint: str) -> Any:
    """Return what the resource itself says of `hint`; dlt's properties answer with defaults."""
    return (resource._hints or {}).get(hint)


def _apply_types(source: DltSource, type_hints: dict[str, str]) -> None:
    if not type_hints:
        return
    normalize = source.schema.naming.normalize_path
    preferred: Any = {normalize(column): kind for column, kind in type_hints.items()}
    source.schema.update_preferred_types(preferred)


def _apply_table(resource: DltResource, table: str | None, *, alone: bool) -> None:
    if table is None:
        return
    if alone and _own(resource, "table_name") is None:
        resource.apply_hints(table_name=table)
        return
    log.warning(
        "dest-table names the table %r, which is ignored: %s",
        table,
        f"resource {resource.name!r} names its own table {resource.table_name!r}"
        if alone
        else "the source has several resources, and each keeps its own table",
    )


def _apply_incremental(resource: DltResource, job: Job, reading: Reading) -> None:
    key = job.source.incremental_key
    if key is None or reading.kind not in ("windowed", "cursor") or resource.is_transformer:
        return
    if resource.incremental is not None and resource.incremental.incremental is not None:
        log.info(
            "Resource %r brings its own incremental; incremental-key %r is not applied to it",
            resource.name,
            key,
        )
        return
    incremental: Any = dlt.sources.incremental(
        key,
        initial_value=reading.start,
        end_value=reading.end if reading.kind == "windowed" else None,
        primary_key=() if job.sink.strategy == "delete+insert" else None,
    )
    resource.apply_hints(incremental=incremental)


def _apply_strategy(resource: DltResource, job: Job) -> None:
    strategy = job.sink.strategy
    if strategy in ("append", "replace"):
        resource.apply_hints(write_disposition=strategy)  # type: ignore[arg-type]
    elif strategy == "merge":
        if not (_own(resource, "primary_key") or _own(resource, "merge_key")):
            raise WorkflowError(
                f"incremental-strategy merge needs a key for resource {resource.name!r}",
                expected="source.options.primary-key, or primary_key/merge_key on the resource",
                found="neither",
                remedy="name the columns that identify a row in primary-key, or choose append or replace",
            )
        resource.apply_hints(write_disposition="merge")
    elif strategy == "delete+insert":
        if job.source.incremental_key is None:
            raise WorkflowError(
                "incremental-strategy delete+insert needs an incremental-key",
                expected="source.options.incremental-key",
                found="none",
                remedy="name the column whose values are deleted and inserted anew, or choose merge",
            )
        resource.apply_hints(write_disposition="merge", merge_key=job.source.incremental_key)
    else:
        resource.apply_hints(write_disposition={"disposition": "merge", "strategy": "scd2"})


def _warn_of_reset(resource: DltResource, reading: Reading) -> None:
    if reading.keeps_state and resource.write_disposition == "replace":
        log.info(
            "Resource %r has write_disposition replace: dlt resets its state at the start of every run",
            resource.name,
        )
