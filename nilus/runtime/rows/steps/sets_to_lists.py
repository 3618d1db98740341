"""Rows as dlt can write them: its JSON knows neither sets nor values of numpy and pandas."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from dlt.common.libs import is_pandas_frame
from dlt.extract import DltResource

from nilus.runtime.engine.internals.steps import MapItem, step_of
from nilus.runtime.rows.steps.frames import with_index
from nilus.runtime.rows.steps.python_values import to_python

_PLAIN = frozenset({str, int, float, bool, type(None), bytes, Decimal, datetime, date, time, UUID})


def sets_to_lists(row: Any) -> Any:
    """Return `row` with each set in it, at any depth, as a sorted list, and values of numpy and pandas as Python's own.

    What holds none is returned as it is, the same object; the row itself is never changed. Anything that is not
    a dict, a list or a tuple (an Arrow table) is not looked into; the named index of a DataFrame becomes columns.
    """
    if isinstance(row, dict):
        return _dict(row)
    if isinstance(row, list) or type(row) is tuple:
        return _sequence(row)
    if isinstance(row, (set, frozenset)):
        return _sort([sets_to_lists(value) for value in row])
    return with_index(row) if is_pandas_frame(row) else to_python(row)


def _dict(row: dict[Any, Any]) -> dict[Any, Any]:
    changed = {}
    for key, value in row.items():
        if type(value) not in _PLAIN:
            try:
                new = sets_to_lists(value)
            except ValueError as error:
                raise ValueError(f"column {key!r}: {error}") from None
            if new is not value:
                changed[key] = new
    return {**row, **changed} if changed else row


def _sequence(values: list[Any] | tuple[Any, ...]) -> list[Any] | tuple[Any, ...]:
    for value in values:
        if type(value) not in _PLAIN and sets_to_lists(value) is not value:
            return [sets_to_lists(value) for value in values]
    return values


def _sort(values: list[Any]) -> list[Any]:
    # The order of a set differs from process to process; what is written should not.
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


class SetsToLists(MapItem):
    """The step that does it to every row of a resource: behind its own steps and validation, before the incremental."""

    placement_affinity: ClassVar[float] = 0.95

    def __init__(self) -> None:
        super().__init__(sets_to_lists)


def write_sets_as_lists(resource: DltResource) -> None:
    """Let the rows of `resource` pass through `sets_to_lists`, once."""
    if step_of(resource, SetsToLists) is None:
        resource.add_step(SetsToLists())
