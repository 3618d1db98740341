"""The steps of a resource, and the items that go through them."""

from __future__ import annotations

from typing import Any, TypeVar

from dlt.extract import DltResource
from dlt.extract.extractors import ImportFileMeta
from dlt.extract.items import DataItemWithMeta, ResolvablePipeItem, SupportsPipe
from dlt.extract.items_transform import ItemTransform, MapItem
from dlt.extract.pipe import ForkPipe
from dlt.extract.state import get_current_pipe
from dlt.extract.utils import get_data_item_format

__all__ = [
    "DataItemWithMeta",
    "ImportFileMeta",
    "ItemTransform",
    "MapItem",
    "ResolvablePipeItem",
    "SupportsPipe",
    "branches_here",
    "get_data_item_format",
    "step_of",
]

S = TypeVar("S")


def step_of(resource: DltResource, kind: type[S]) -> S | None:
    """Return the first step of a kind that a resource has."""
    return next((step for step in resource._pipe.steps if isinstance(step, kind)), None)


def branches_here() -> list[tuple[Any, int, bool]] | None:
    """Return where items go from the end of the pipe that is running; None if they simply leave it.

    Returns:
        The pipes, the step each goes on behind, and whether it is the pipe that is running.
    """
    current: Any = get_current_pipe()
    fork = current.tail if hasattr(current, "tail") else None
    if not isinstance(fork, ForkPipe):
        return None
    return [(pipe, step, pipe is current) for pipe, step in fork._pipes]
