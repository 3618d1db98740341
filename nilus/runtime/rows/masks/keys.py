"""Masked columns that something else depends on: keys that are merged on, cursors whose last value is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlt.extract import DltResource
from dlt.extract.incremental import Incremental

from nilus.errors import WorkflowError
from nilus.runtime.engine.internals.resources import hints_of, parents_incrementals, plain_path
from nilus.runtime.rows.masks.columns import Mask, MaskColumns
from nilus.runtime.rows.reading import incremental
from nilus.runtime.rows.reading.decision import Reading


def refuse(resource: DltResource, columns: MaskColumns, reading: Reading) -> None:
    """Refuse masks that would break what a resource does with a column, or leave its values in the state.

    Args:
        resource: with its disposition, keys and incremental in place.
        columns: the masks.
        reading: what the run reads.

    Raises:
        WorkflowError: a key whose mask differs from run to run, a merge on a mask that makes different values one, a
            cursor that is masked, scd2 with a mask that differs from run to run.
    """
    value: Any = resource.write_disposition
    disposition = value.get("disposition") if isinstance(value, dict) else value
    keys = set(_keys(resource))
    for mask in columns.masks:
        is_key = any(columns.name(key) == path[0] for key in keys for path in mask.paths if len(path) == 1)
        if is_key:
            _refuse_key(resource, mask, is_merged=disposition == "merge")
        if isinstance(value, dict) and value.get("strategy") == "scd2" and not mask.algorithm.is_deterministic:
            raise _refusal(
                f"Resource {resource.name!r}: scd2 compares rows, and {mask.algorithm.name} gives column "
                f"{mask.column!r} other values in every run",
                "a mask that gives the same for the same value, such as hash or hmac",
                f"{mask.algorithm.name}: every row would be retired and written anew",
            )
    for cursor in incremental.all_incrementals(resource):
        _refuse_cursor(resource.name, cursor, columns, reading, keys)
    for name, cursor in parents_incrementals(resource):
        _refuse_cursor(name, cursor, columns, reading, set())


def _refusal(message: str, expected: str, found: str) -> WorkflowError:
    return WorkflowError(
        message, expected=expected, found=found, remedy="choose another mask or another column; nothing was loaded"
    )


def _refuse_key(resource: DltResource, mask: Mask, *, is_merged: bool) -> None:
    if not mask.algorithm.is_deterministic:
        raise _refusal(
            f"Resource {resource.name!r}: column {mask.column!r} is a key, and {mask.algorithm.name} gives it other "
            "values in every run",
            "a mask of a key that gives the same for the same value: hash, sha256, md5 or hmac",
            mask.algorithm.name,
        )
    if is_merged and not mask.algorithm.keeps_apart:
        raise _refusal(
            f"Resource {resource.name!r} merges on column {mask.column!r}, and {mask.algorithm.name} makes different "
            "values the same",
            "a mask of a key that keeps different values apart: hash, sha256, md5 or hmac",
            f"{mask.algorithm.name}: rows would replace others",
        )


def _refuse_cursor(
    resource: str, cursor: Incremental[Any], columns: MaskColumns, reading: Reading, keys: set[str]
) -> None:
    """Refuse a cursor that keeps a masked value in the state, or of which nobody can tell which value it keeps."""
    if cursor.end_value is not None or (cursor.allow_external_schedulers is True and reading.interval is not None):
        return
    path = plain_path(cursor.cursor_path)
    if path is None:
        raise _refusal(
            f"Resource {resource!r}: its cursor is not a plain field, and columns are masked",
            "the name of a column, or names joined by points: what a cursor reads is kept in clear in the state",
            f"the cursor {cursor.cursor_path!r}",
        )
    path = tuple(map(columns.name, path))
    for mask in columns.masks:
        if any(path[: len(way)] == way or way[: len(path)] == path for way in mask.paths):
            raise WorkflowError(
                f"Resource {resource!r}: column {mask.column!r} is its cursor, and is to be masked",
                expected="a cursor that may be known: its last value is kept in clear in the state, in Airflow and in "
                "the destination",
                found=f"the mask {mask.algorithm.name}",
                remedy="choose another incremental-key; or give runs an interval, which keep no cursor; or remove the "
                "mask",
            )
    dedup: Any = keys if cursor.primary_key is None else cursor.primary_key
    if callable(dedup):
        return
    hashed = {columns.name(key) for key in ([dedup] if isinstance(dedup, str) else dedup)}
    for mask in columns.masks:
        if any(way[0] in hashed for way in mask.paths):
            raise WorkflowError(
                f"Resource {resource!r}: column {mask.column!r} is the key by which rows at its cursor are "
                "compared, and is to be masked",
                expected="a key that may be known: dlt keeps a digest of it, without a key of its own, in the state",
                found=f"the mask {mask.algorithm.name}",
                remedy="choose incremental-strategy merge, which needs no such digests, or give runs an interval; an "
                "incremental of the source's own may say primary_key=()",
            )


def _keys(resource: DltResource) -> Iterator[str]:
    """Yield the columns of the primary and the merge key, as the resource names them."""
    hints = hints_of(resource)
    for kind in ("primary_key", "merge_key"):
        key: Any = hints.get(kind)
        if isinstance(key, str):
            yield key
        elif isinstance(key, list | tuple):
            yield from key
    declared: Any = hints.get("columns")
    if isinstance(declared, dict):
        for name, column in declared.items():
            if column.get("primary_key") or column.get("merge_key"):
                yield name
