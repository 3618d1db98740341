"""What the workflow asks of the resources: dispositions, keys, the incremental, nesting, types, limits.

What a resource says of itself stands; the workflow's options apply to resources that say nothing.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from dlt.extract import DltResource, DltSource
from dlt.extract.exceptions import DataItemRequiredForDynamicTableHints

from nilus.errors import WorkflowError
from nilus.protocol.job import Job
from nilus.runtime.engine.internals.resources import hints_of
from nilus.runtime.rows.masks import keys, masking
from nilus.runtime.rows.reading import incremental, ordered_cursor
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.rows.steps import column_names, type_hints

log = logging.getLogger("nilus")

_SCD2: Any = {"disposition": "merge", "strategy": "scd2"}


def apply(source: DltSource, job: Job, reading: Reading, *, handles_incrementality: bool) -> masking.Masking | None:
    """Put the workflow's options on the selected resources of `source`, in place.

    Returns:
        The masks, or None if there are none.

    Raises:
        WorkflowError: `merge` without a key, `delete+insert` without an incremental key, `scd2` for a part of the
            rows without a key.
    """
    ordered_cursor.use(hides_values=bool(job.source.mask))
    if job.source.max_table_nesting is not None or source.max_table_nesting is None:
        source.max_table_nesting = job.source.max_table_nesting or 0
    if job.source.yield_limit is not None:
        source.add_limit(job.source.yield_limit)
    type_hints.apply(source, job.source.type_hints, masked=job.source.mask)
    column_names.apply(source)
    masks = masking.apply(source, job, os.environ)
    strategy = "none" if handles_incrementality else job.sink.strategy
    _apply_table(source, job.sink.table)
    filtered = incremental.filtering_resources(source, reading, strategy)
    for resource in source.selected_resources.values():
        if job.source.primary_key and _hint_of(resource, "primary_key") is None:
            resource.apply_hints(primary_key=job.source.primary_key)
        own_disposition = _hint_of(resource, "write_disposition") is not None
        if not own_disposition:
            if handles_incrementality and job.sink.strategy not in ("none", "append"):
                _tell_of_own_state(resource, job)
            _STRATEGIES[strategy](resource, job, reading)
        elif _disposition(resource) == "merge" and not _has_key(resource) and not _is_scd2(resource):
            log.warning("Resource %r merges but has no key: its rows are appended", resource.name)
        disposition = _disposition(resource)
        incremental.apply(resource, job, reading, filtered=filtered, disposition=disposition, is_own=own_disposition)
        if disposition == "replace":
            _warn_of_reset(resource, job, reading)
        if masks is not None:
            keys.refuse(resource, masks.columns, reading)
    return masks


def apply_table_format(source: DltSource, table_format: str | None) -> None:
    """Let the tables of selected resources that name no format have the sink's, in place."""
    for resource in source.selected_resources.values() if table_format else ():
        if not _hint_of(resource, "table_format"):
            resource.apply_hints(table_format=table_format)  # type: ignore[arg-type]


def _hint_of(resource: DltResource, hint: str) -> Any:
    """Return what the resource itself says of `hint`; dlt's properties answer with defaults."""
    return hints_of(resource).get(hint)


def _disposition(resource: DltResource) -> str:
    """Return the disposition of the resource; an empty text if it depends on each row."""
    value = resource.write_disposition
    if isinstance(value, dict):
        return str(value["disposition"])
    return value if isinstance(value, str) else ""


def _is_scd2(resource: DltResource) -> bool:
    value: Any = resource.write_disposition
    return isinstance(value, dict) and value.get("strategy") == "scd2"


def _has_key(resource: DltResource) -> bool:
    """Tell whether the resource names a primary or merge key, also as a hint of a column."""
    if _hint_of(resource, "primary_key") or _hint_of(resource, "merge_key"):
        return True
    try:
        columns = resource.compute_table_schema()["columns"].values()
    except DataItemRequiredForDynamicTableHints:  # its hints depend on each row
        return True
    return any(column.get("primary_key") or column.get("merge_key") for column in columns)


def _apply_table(source: DltSource, table: str | None) -> None:
    if table is None:
        return
    resources = list(source.selected_resources.values())
    alone = len(source.resources) == 1
    if alone and resources and _hint_of(resources[0], "table_name") is None:
        resources[0].apply_hints(table_name=table)
        return
    log.warning(
        "dest-table names the table %r, which is ignored: %s",
        table,
        f"resource {resources[0].name!r} names its own table {resources[0].table_name!r}"
        if alone and resources
        else "the source has several resources, and each keeps its own table",
    )


def _tell_of_own_state(resource: DltResource, job: Job) -> None:
    # Replace is what a workflow says that says nothing.
    log.log(
        logging.INFO if job.sink.strategy == "replace" else logging.WARNING,
        "The source handles incrementality itself, so incremental-strategy %s does not apply: the rows of resource %r, "
        "which has no write disposition of its own, are appended. Give it one: @nilus.resource(write_disposition=…)",
        job.sink.strategy,
        resource.name,
    )


def _append(resource: DltResource, _job: Job, _reading: Reading) -> None:
    resource.apply_hints(write_disposition="append")


def _replace(resource: DltResource, _job: Job, _reading: Reading) -> None:
    resource.apply_hints(write_disposition="replace")


def _merge(resource: DltResource, _job: Job, _reading: Reading) -> None:
    if not _has_key(resource):
        raise WorkflowError(
            f"incremental-strategy merge needs a key for resource {resource.name!r}",
            expected="source.options.primary-key, or primary_key/merge_key on the resource",
            found="neither",
            remedy="name the columns that identify a row in primary-key, or choose append or replace",
        )
    resource.apply_hints(write_disposition="merge")


def _delete_insert(resource: DltResource, job: Job, _reading: Reading) -> None:
    if job.source.incremental_key is None:
        raise WorkflowError(
            "incremental-strategy delete+insert needs an incremental-key",
            expected="source.options.incremental-key",
            found="none",
            remedy="name the column whose values are deleted and inserted anew, or choose merge",
        )
    own_key = _hint_of(resource, "merge_key")
    resource.apply_hints(write_disposition="merge", merge_key=own_key or job.source.incremental_key)


def _scd2(resource: DltResource, _job: Job, reading: Reading) -> None:
    if reading.kind not in ("windowed", "cursor"):
        resource.apply_hints(write_disposition=_SCD2)
        return
    # Only a part of the rows comes: without a merge key, scd2 would retire all the others.
    key = _hint_of(resource, "merge_key") or _hint_of(resource, "primary_key")
    if not key:
        raise WorkflowError(
            f"incremental-strategy scd2 with an incremental-key needs a key for resource {resource.name!r}",
            expected="source.options.primary-key, or primary_key/merge_key on the resource",
            found="neither: every row that this run does not read would be marked as gone",
            remedy="name the columns that identify a row in primary-key, or remove incremental-key",
        )
    resource.apply_hints(write_disposition=_SCD2, merge_key=key)


_STRATEGIES = {
    "none": _append,
    "append": _append,
    "replace": _replace,
    "merge": _merge,
    "delete+insert": _delete_insert,
    "scd2": _scd2,
}


def _warn_of_reset(resource: DltResource, job: Job, reading: Reading) -> None:
    if reading.kind == "windowed" and resource.incremental is not None:
        log.warning(
            "Resource %r has write disposition replace: after this run its table holds the rows of this window only",
            resource.name,
        )
    if any(resource.name in source.get("resources", {}) for source in job.state.sources.values()):
        log.warning(
            "Resource %r has write disposition replace: dlt resets its state at the start of this run", resource.name
        )
