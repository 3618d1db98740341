"""The types of masked columns: what a mask gives decides, not what the column was."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from dlt.common.data_types import coerce_value
from dlt.common.schema import Schema
from dlt.extract import DltResource, DltSource

from nilus.errors import WorkflowError
from nilus.runtime.engine.internals.resources import hints_of
from nilus.runtime.rows.masks.columns import Mask, MaskColumns

log = logging.getLogger("nilus")

_NUMBERS: Final = frozenset({"bigint", "double", "decimal", "text"})
_OF_ALGORITHM: Final = {
    "round": _NUMBERS,
    "noise": _NUMBERS,
    "random": _NUMBERS,
    "date_shift": frozenset({"date", "timestamp", "text"}),
}
_OF_RESULT: Final = {"text": frozenset({"text"}), "bigint": _NUMBERS, "same": _NUMBERS}


def possible(mask: Mask) -> frozenset[str]:
    """Return the data types that a masked column can have."""
    return _OF_ALGORITHM.get(mask.algorithm.name, _OF_RESULT[mask.algorithm.result])


def give(source: DltSource, columns: MaskColumns, hints: Mapping[str, str]) -> dict[str, str]:
    """Give the masked columns of `source` the type of what comes out, in place.

    Args:
        source: its schema and its selected resources.
        columns: the masks.
        hints: the workflow's type hints, column to data type.

    Returns:
        The hints that are for masked columns: normalized column to data type.

    Raises:
        WorkflowError: a type hint that masked values cannot have.
    """
    hinted = {columns.name(column): kind for column, kind in hints.items()}
    casts: dict[str, str] = {}
    preferred: dict[Any, Any] = {}
    for mask in columns.masks:
        name = columns.table_name(mask)
        kind = hinted.get(name)
        if kind is not None:
            _check(mask, kind)
            casts[name] = kind
        elif mask.algorithm.result != "same":
            preferred[name] = mask.algorithm.result
    source.schema.update_preferred_types(preferred)
    for resource in source.selected_resources.values():
        _correct_declared(resource, columns, casts)
    return casts


def _check(mask: Mask, kind: str) -> None:
    if kind in possible(mask) or (mask.algorithm.name == "fixed" and _is_text_of(mask, kind)):
        return
    raise WorkflowError(
        f"Column {mask.column!r} is masked by {mask.algorithm.name}, which gives no {kind}",
        expected=f"a type hint that is one of {', '.join(sorted(possible(mask)))}, or none",
        found=f"the type hint {kind}",
        remedy="correct type-hints: they say what the masked values are",
    )


def _is_text_of(mask: Mask, kind: str) -> bool:
    try:
        coerce_value(kind, "text", mask.algorithm.mask(""))  # type: ignore[arg-type]
    except (ValueError, TypeError, ArithmeticError):
        return False
    return True


def _correct_declared(resource: DltResource, columns: MaskColumns, casts: Mapping[str, str]) -> None:
    """Let what a resource declares of a masked column be what its mask gives."""
    declared: Any = hints_of(resource).get("columns")
    if not isinstance(declared, dict):  # depends on each row
        return
    for name, column in list(declared.items()):
        mask = columns[name]
        if not isinstance(mask, Mask):
            continue
        mask.is_seen = True
        kind = casts.get(columns.table_name(mask))
        if kind is None and mask.algorithm.result != "same":
            kind = mask.algorithm.result
        was = column.get("data_type")
        if kind is None or was is None:
            continue
        # A length that was enough for the value need not be so for its mask.
        corrected = {key: value for key, value in column.items() if key not in ("precision", "scale")}
        declared[name] = {**corrected, "data_type": kind}
        if was != kind:
            log.info(
                "Column %r of resource %r is declared %s; masked by %s it is %s",
                name,
                resource.name,
                was,
                mask.algorithm.name,
                kind,
            )


def refuse_others(schema: Schema, columns: MaskColumns, resources: Mapping[str, Any]) -> None:
    """Refuse masks whose values do not fit the columns that exist.

    Raises:
        WorkflowError: a column has another type.
    """
    names = {columns.table_name(mask): mask for mask in columns.masks if mask.algorithm.result != "same"}
    for table in schema.data_tables():
        if table.get("resource") not in resources:
            continue
        for name, column in table["columns"].items():
            mask = names.get(name)
            kind = column.get("data_type")
            if mask is None or kind is None or kind in possible(mask):
                continue
            if mask.algorithm.name == "fixed" and _is_text_of(mask, kind):
                continue
            raise WorkflowError(
                f"Column {name!r} of table {table['name']!r} is {kind}, and {mask.algorithm.name} gives "
                f"{mask.algorithm.result}",
                expected=f"a column that is one of {', '.join(sorted(possible(mask)))}",
                found=f"{kind}: an earlier run made the column",
                remedy="make the table anew with full-refresh, which also removes the values it holds in clear, or "
                "choose a mask that keeps the type",
            )
