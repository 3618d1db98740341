"""A coroutine that is cancelled, or that ends the process, fails its run; dlt alone would wait for it for ever."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.extract.concurrency import FuturesPool
from dlt.extract.exceptions import ResourceExtractionError

from nilus.errors import SourceError
from nilus.runtime.engine import endings
from nilus.runtime.engine.context import isolation
from nilus.runtime.engine.internals.futures import replace_endings

CONFIGURATION = {"providers": {"enable_airflow_secrets": False}, "runtime": {"dlthub_telemetry": False}}


async def _cancelled() -> Any:
    raise asyncio.CancelledError


async def _cancels_itself() -> Any:
    asyncio.current_task().cancel()  # type: ignore[union-attr]
    await asyncio.sleep(0)


async def _waits_for_a_cancelled_one() -> Any:
    task = asyncio.ensure_future(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(task.cancel)
    return await task


async def _exits() -> Any:
    sys.exit(3)


async def _interrupted() -> Any:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def isolated_dlt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(FuturesPool, "submit", FuturesPool.submit)
    replace_endings(lambda resource, error: endings.explain(error, resource))
    with isolation(str(tmp_path), CONFIGURATION):
        yield


def _async_generator(ending: Any) -> Any:
    async def orders() -> AsyncIterator[Any]:
        yield {"id": 1}
        await ending()
        yield {"id": 2}

    return dlt.resource(orders, name="orders")


def _awaitables(ending: Any) -> Any:
    async def one() -> Any:
        return {"id": 1}

    def orders() -> Iterator[Any]:
        yield one()
        yield ending()

    return dlt.resource(orders, name="orders")


def _transformer(ending: Any) -> Any:
    async def orders(item: Any) -> Any:
        await ending()
        return item

    return dlt.resource([1, 2], name="items") | dlt.transformer(orders, name="orders")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("resource", [_async_generator, _awaitables, _transformer])
@pytest.mark.parametrize("ending", [_cancelled, _cancels_itself, _waits_for_a_cancelled_one, _exits, _interrupted])
def test_a_coroutine_that_ends_itself_or_the_process_fails_its_run(resource, ending):
    with pytest.raises(ResourceExtractionError) as caught:
        list(resource(ending))
    error = caught.value.__cause__
    assert isinstance(error, SourceError)
    assert error.message.startswith("Resource 'orders' ")
    assert error.found == ("sys.exit(3)" if ending is _exits else type(error.__cause__).__name__)


@pytest.mark.timeout(60)
def test_coroutines_that_go_well_give_all_their_rows():
    async def orders() -> AsyncIterator[Any]:
        for id in range(3):
            await asyncio.sleep(0)
            yield {"id": id}

    assert list(dlt.resource(orders, name="orders")) == [{"id": 0}, {"id": 1}, {"id": 2}]
