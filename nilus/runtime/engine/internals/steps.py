"""The steps of a resource, and the items that go through them."""

from __future__ import annotations

from types import CodeType
from typing import Any, TypeVar

from dlt.common.utils import get_callable_name
from dlt.extract import DltResource
from dlt.extract.extractors import ImportFileMeta
from dlt.extract.items import DataItemWithMeta, ResolvablePipeItem, SourcePipeItem, SupportsPipe
from dlt.extract.items_transform import ItemTransform, MapItem
from dlt.extract.pipe import ForkPipe, Pipe
from dlt.extract.state import get_current_pipe
from dlt.extract.utils import get_data_item_format, wrap_async_iterator, wrap_parallel_iterator

__all__ = [
    "DataItemWithMeta",
    "ForkPipe",
    "ImportFileMeta",
    "ItemTransform",
    "MapItem",
    "Pipe",
    "ResolvablePipeItem",
    "SourcePipeItem",
    "SupportsPipe",
    "background_code",
    "branches_here",
    "get_callable_name",
    "get_data_item_format",
    "step_of",
    "steps_behind_generator",
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


def steps_behind_generator(pipe: Pipe) -> list[tuple[int, Any]]:
    """Return what is done to the items of a pipe's generator, in order, with the number that dlt knows each step by."""
    return list(enumerate(pipe.steps))[pipe._gen_idx + 1 :]


def background_code() -> frozenset[CodeType]:
    """Return the code of the generators by which dlt runs those of a source in the background, one item at a time."""
    inner = (code for code in wrap_parallel_iterator.__code__.co_consts if isinstance(code, CodeType))
    return frozenset({wrap_async_iterator.__code__, *inner})
