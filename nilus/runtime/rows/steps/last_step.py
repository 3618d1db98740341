"""What is done to rows as the last thing before they are written, and to nothing that only passes through.

It is behind everything that a source or dlt does to rows. What other resources read from this one comes as it is: dlt
parts what is written from what is passed on behind the last step of a resource, which would be too late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from nilus.runtime.engine.internals.steps import (
    DataItemWithMeta,
    ItemTransform,
    ResolvablePipeItem,
    branches_here,
    step_of,
)

Change = Callable[[Any, Any], Any]
"""Takes an item and its metadata; returns the item changed, or both as `DataItemWithMeta`."""


class LastStep(ItemTransform[Any, Any]):
    """The step; at most one a resource."""

    # Behind the incremental (1) and the limit of pages (1.1), before dlt's fork (2).
    placement_affinity: ClassVar[float] = 1.2

    def __init__(self) -> None:
        super().__init__(lambda row: row)
        self.changes: list[Change] = []

    def __call__(self, item: TDataItems, meta: Any = None) -> Any:
        """Return an item changed; called by dlt."""
        changed: Any = item
        changed_meta = meta
        for change in self.changes:
            changed = change(changed, changed_meta)
            if isinstance(changed, DataItemWithMeta):
                changed_meta, changed = changed.meta, changed.data
        branches = branches_here()
        if branches is not None:
            return _part(branches, (item, meta), (changed, changed_meta))
        return changed if changed_meta is meta else DataItemWithMeta(changed_meta, changed)


def add(resource: DltResource, change: Change) -> None:
    """Let the items of `resource` be changed as the last thing before they are written, after what was added before."""
    step = step_of(resource, LastStep)
    if step is None:
        step = LastStep()
        resource.add_step(step)
    step.changes.append(change)


def _part(
    branches: list[tuple[Any, int, bool]], passed: tuple[Any, Any], written: tuple[Any, Any]
) -> Iterator[ResolvablePipeItem]:
    """Send what is written to the end of its own pipe, and what is passed on to the others."""
    for pipe, step, is_own in branches:
        item, meta = written if is_own else passed
        yield ResolvablePipeItem(item, step, pipe, meta)
