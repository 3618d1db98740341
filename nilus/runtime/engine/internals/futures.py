"""dlt's pool of what resources do at the same time: coroutines, and functions in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from dlt.extract.concurrency import FuturesPool
from dlt.extract.items import ResolvablePipeItem

_DLT_SUBMIT = FuturesPool.submit

Explain = Callable[[str, BaseException], Exception]


def replace_endings(explain: Explain) -> None:
    """Let a coroutine that ends itself or the process raise instead.

    dlt waits for ever for the rows of one that is cancelled, or that leaves by SystemExit.

    Args:
        explain: returns what is raised, of the resource's name and what the coroutine raised.
    """

    def submit(self: FuturesPool, pipe_item: ResolvablePipeItem) -> Any:
        if isinstance(pipe_item.item, Coroutine):
            pipe_item = pipe_item._replace(item=_raising(pipe_item.item, pipe_item.pipe.name, explain))
        return _DLT_SUBMIT(self, pipe_item)

    # mypy knows the method only as it was written.
    setattr(FuturesPool, "submit", submit)  # noqa: B010


async def _raising(coroutine: Coroutine[Any, Any, Any], resource: str, explain: Explain) -> Any:
    try:
        return await coroutine
    except (asyncio.CancelledError, SystemExit, KeyboardInterrupt) as error:
        raise explain(resource, error) from error
