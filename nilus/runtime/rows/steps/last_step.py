"""What is done to rows as the last thing before they are written, and to nothing that only passes through.

It is behind everything that a source or dlt does to rows. What other resources read from this one comes as it is: dlt
parts what is written from what is passed on behind the last step of a resource, which would be too late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from dlt.common.typing import TDataItems
from dlt.extract import DltResource
from dlt.extract.items import DataItemWithMeta, ResolvablePipeItem
from dlt.extract.items_transform import ItemTransform
from dlt.extract.pipe import ForkPipe
from dlt.extract.state import get_current_pipe

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
        fork: Any = getattr(get_current_pipe(), "tail", None)
        if isinstance(fork, ForkPipe):
            return _parted(fork, (item, meta), (changed, changed_meta))
        return changed if changed_meta is meta else DataItemWithMeta(changed_meta, changed)


def add(resource: DltResource, change: Change) -> None:
    """Let the items of `resource` be changed as the last thing before they are written, after what was added before."""
    step = next((step for step in resource._pipe.steps if isinstance(step, LastStep)), None)
    if step is None:
        step = LastStep()
        resource.add_step(step)
    step.changes.append(change)


def _parted(fork: ForkPipe, passed: tuple[Any, Any], written: tuple[Any, Any]) -> Iterator[ResolvablePipeItem]:
    """Send what is written to the end of its own pipe, and what is passed on to the others."""
    current = get_current_pipe()
    for pipe, step in fork._pipes:
        item, meta = written if pipe is current else passed
        yield ResolvablePipeItem(item, step, pipe, meta)
