"""The workflow's incremental-key, put on resources that bring no incremental of their own."""

from __future__ import annotations

import logging
from typing import Any

from dlt.common.jsonpath import compile_path
from dlt.extract import DltResource, DltSource
from dlt.extract.incremental import Incremental
from jsonpath_ng.exceptions import JSONPathError

from nilus.protocol.job import Job
from nilus.runtime.engine.internals.resources import ancestors_of, default_incremental, hints_of, incremental_steps
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.rows.reading.window import RequireValue, Since, Window

log = logging.getLogger("nilus")


class Cursor(Incremental[Any]):
    """The cursor of the workflow's incremental-key, which the source never sees."""


def filtering_resources(source: DltSource, reading: Reading, strategy: str) -> frozenset[str]:
    """Return the names of the selected resources that give on to transformers only the rows this run reads.

    Args:
        source: its resources, before any option of the workflow is put on them.
        reading: what the run reads.
        strategy: the workflow's, for resources that have no write disposition.
    """
    return frozenset(
        resource.name for resource in source.selected_resources.values() if _filters(resource, reading, strategy)
    )


def _filters(resource: DltResource, reading: Reading, strategy: str) -> bool:
    own = own_incremental(resource)
    if own is not None:
        return reading.kind == "cursor" or own.allow_external_schedulers is True
    disposition = hints_of(resource).get("write_disposition")
    if disposition is None:
        return strategy != "replace" or reading.kind == "windowed"
    return (disposition.get("disposition") if isinstance(disposition, dict) else disposition) != "replace"


def apply(
    resource: DltResource,
    job: Job,
    reading: Reading,
    *,
    filtered: frozenset[str],
    disposition: str,
    is_own: bool,
) -> None:
    """Let `resource` read what `reading` says, in place.

    Args:
        resource: one of the selected resources.
        job: its incremental-key.
        reading: nothing is done unless it is `windowed` or `cursor`.
        filtered: what the function of this name returned. A transformer of one of them reads filtered rows already.
        disposition: how its rows are written: `append`, `replace`, `merge`, or empty if that depends on each row.
        is_own: the resource says so itself. One that replaces its table by its own word reads all of it.
    """
    if reading.interval is None and resource.incremental is not None:
        # Where there is no interval, there is none to take from a scheduler: the cursor's own state counts.
        resource.incremental.allow_external_schedulers = False
    key = job.source.incremental_key
    if key is None or reading.kind not in ("windowed", "cursor"):
        return
    own = own_incremental(resource)
    if own is not None:
        _tell_of_own(resource, own, key, reading)
    elif is_own and disposition == "replace":
        log.info(
            "Resource %r replaces its table by its own word: incremental-key %r is not applied", resource.name, key
        )
    elif parent := next((name for name in ancestors_of(resource) if name in filtered), None):
        log.info(
            "Transformer %r gets only the rows that %r reads in this run: incremental-key %r is not applied again",
            resource.name,
            parent,
            key,
        )
    elif reading.kind == "windowed":
        window = Window(_cursor_path(key), initial_value=reading.start, end_value=reading.end)
        window.hides_values = bool(job.source.mask)
        resource.apply_hints(incremental=window)
    else:
        _apply_cursor(resource, key, reading, disposition, hides_values=bool(job.source.mask))


def own_incremental(resource: DltResource) -> Incremental[Any] | None:
    """Return the incremental a resource brings: a hint, a step, an argument given to its function, or its default."""
    step: Any = resource.incremental
    if step is None or isinstance(step, Incremental):
        return step
    if step.incremental is not None:
        found: Incremental[Any] = step.incremental
        return found
    for value in resource.explicit_args.values() if resource.args_bound else ():
        if isinstance(value, Incremental):
            return value
    return default_incremental(resource)


def all_incrementals(resource: DltResource) -> list[Incremental[Any]]:
    """Return every incremental of a resource: its steps' and what its function gets; each once."""
    own = own_incremental(resource)
    found = {id(one): one for one in (*incremental_steps(resource), *((own,) if own else ()))}
    return list(found.values())


def _tell_of_own(resource: DltResource, own: Incremental[Any], key: str, reading: Reading) -> None:
    if reading.kind == "windowed" and own.allow_external_schedulers is not True:
        log.warning(
            "Resource %r brings its own incremental: neither incremental-key %r nor the window applies to it, and as "
            "this run keeps no state, it starts from its own initial value. To let it go on from its cursor, give the "
            "operator interval=None, or return True from handles_incrementality()",
            resource.name,
            key,
        )
    else:
        log.info("Resource %r brings its own incremental: incremental-key %r is not applied to it", resource.name, key)


def _apply_cursor(resource: DltResource, key: str, reading: Reading, disposition: str, *, hides_values: bool) -> None:
    if reading.start is not None:
        resource.add_step(Since(_cursor_path(key), reading.start, hides_values=hides_values))
    if disposition == "replace":
        log.warning(
            "Resource %r has write disposition replace, which starts from nothing: its cursor %r is not kept, every "
            "run reads all rows%s. Choose append, merge or delete+insert to load only what is new",
            resource.name,
            key,
            "" if reading.start is None else " from interval-start on",
        )
        return
    resource.add_step(RequireValue(_cursor_path(key)))
    # Rows that have the cursor's own value are read again: what merges needs all of them, what appends the new ones.
    dedup_key = () if disposition == "merge" else None
    resource.apply_hints(incremental=Cursor(_cursor_path(key), primary_key=dedup_key))


def _cursor_path(key: str) -> str:
    """Return the key as dlt takes it: a JSON path, in which a name that is not plain is quoted."""
    try:
        compile_path(key)
    except JSONPathError:
        quote = '"' if "'" in key else "'"
        return f"{quote}{key}{quote}"
    return key
