"""What a source yields by reference, copied in the moment it comes: the source may fill the same object again.

dlt keeps rows and tables in a buffer until there are enough of them to be written, and runs generators that are
asynchronous, parallel or read by a transformer on before it has looked at what they gave.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any, Final

from dlt.common.libs import is_pandas_frame, is_polars_frame

from nilus.runtime.engine.internals.steps import DataItemWithMeta, background_code

_IN_BACKGROUND: Final = background_code()


def snapshot(item: Any) -> Any:
    """Return what a source yielded as it is now.

    A row, a list and a DataFrame are copied, a list with the DataFrames in it. Arrow tables cannot be changed.
    """
    if isinstance(item, list):
        copied = copy.copy(item)
        if copied and _is_frame(copied[0]):
            copied[:] = map(snapshot, copied)
        return copied
    if type(item) is dict:
        return item.copy()
    if is_pandas_frame(item):
        return item.copy()
    if is_polars_frame(item):
        return item.clone()
    if isinstance(item, DataItemWithMeta):
        return DataItemWithMeta(item.meta, snapshot(item.data))
    return item


def snapshots(items: Iterator[Any]) -> Generator[Any, None, None]:
    """Yield items as they are when they come; those made in the background are copied there.

    Args:
        items: of a source, or what dlt has made of a generator that runs in the background; closed at the end.
    """
    try:
        yield from _in_background(items) if runs_in_background(items) else map(snapshot, items)
    finally:
        if inspect.isgenerator(items):
            items.close()


def named_like(wrapper: Any, items: Any) -> Any:
    """Return a generator under the name of the one it reads, for messages."""
    if inspect.isgenerator(items):
        wrapper.__name__, wrapper.__qualname__ = items.__name__, items.__qualname__
    return wrapper


def _is_frame(item: Any) -> bool:
    return bool(is_pandas_frame(item) or is_polars_frame(item))


def runs_in_background(items: Any) -> bool:
    """Tell whether dlt runs the items of this generator in a thread or an event loop."""
    return inspect.isgenerator(items) and items.gi_code in _IN_BACKGROUND


def _in_background(items: Iterator[Any]) -> Iterator[Any]:
    """Yield what dlt runs in the background, none before the item of the one before has been copied."""
    for item in items:
        if item is None:
            yield None
            continue
        run = _Coroutine(item) if inspect.isawaitable(item) else _Call(item)
        yield run.start() if isinstance(run, _Coroutine) else run
        while not run.is_read:
            yield None


class _Call:
    """A function that dlt calls in a thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self.is_read = False

    def __call__(self) -> Any:
        try:
            return snapshot(self._function())
        finally:
            self.is_read = True


class _Coroutine:
    """A coroutine that dlt runs in its event loop."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable
        self.is_read = False

    async def start(self) -> Any:
        try:
            return snapshot(await self._awaitable)
        finally:
            self.is_read = True
