"""Makes one named dlt source of whatever a custom source returned."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, ValuesView
from typing import Any

from dlt.common.libs import is_arrow_object, is_pandas_frame
from dlt.common.schema import Schema
from dlt.common.schema.utils import normalize_schema_name
from dlt.extract import DltResource, DltSource

from nilus.errors import SourceError
from nilus.runtime.engine.internals.resources import SourceFactory
from nilus.runtime.source.class_finder import FoundClass

_ROWS_REMEDY = (
    "yield the rows from a function decorated with @nilus.resource, and return that function, or what it returns"
)


def as_source(value: Any, found: FoundClass, *, who: str, invoke: Callable[[Callable[..., Any]], Any]) -> DltSource:
    """Make one source of what `who` returned.

    Accepted are a source; a source function, called or not; one resource or several (in a tuple, a list, or yielded),
    called or not; a plain generator function in place of a resource; and an awaitable of any of these. Resources that
    are in no source come into one named after the class, in snake_case: the name their state is kept by.

    Args:
        value: what was returned.
        found: the class.
        who: class, method and file, for messages.
        invoke: calls a source function that was returned uncalled.

    Raises:
        SourceError: it is none of these.
    """
    value = _await_value(value)
    if isinstance(value, SourceFactory):
        value = _await_value(invoke(value))
    if isinstance(value, DltSource):
        return value
    items = _items(value, who)
    if any(isinstance(item, (DltSource, SourceFactory)) for item in items):
        if len(items) == 1:
            return as_source(items[0], found, who=who, invoke=invoke)
        raise SourceError(
            f"{who} returned several sources",
            expected="one source; it may have any number of resources",
            found=", ".join(_kind(item) for item in items),
            remedy="return the resources of all of them from one function decorated with @nilus.source, for instance "
            "`return (*first().resources.values(), *second().resources.values())`",
        )
    name = normalize_schema_name(found.class_name)
    section = found.cls.__module__.rpartition(".")[2]
    return DltSource.from_data(Schema(name), section, items)


def _await_value(value: Any) -> Any:
    """Await what is awaitable; draw an asynchronous generator."""
    if isinstance(value, Awaitable):
        return asyncio.run(_await_one(value))
    if isinstance(value, AsyncIterator):
        return asyncio.run(_draw(value))
    return value


async def _await_one(value: Awaitable[Any]) -> Any:
    return await value


async def _draw(items: AsyncIterator[Any]) -> list[Any]:
    drawn = []
    async for item in items:
        drawn.append(item)
        if not _is_resource_like(item):
            break
    return drawn


def _items(value: Any, who: str) -> list[Any]:
    """Return the resources in `value`; a generator is drawn only as long as it yields such."""
    if _is_resource_like(value):
        return [value]
    if value is None:
        raise SourceError(
            f"{who} returned None",
            expected="a source or its resources",
            found="nothing was returned",
            remedy="add the missing return: `return my_source(uri, table, **kwargs)`",
        )
    if not (isinstance(value, (list, tuple, set, frozenset, ValuesView)) or inspect.isgenerator(value)):
        raise _not_a_source(who, _kind(value))
    items = []
    for item in value:
        if not _is_resource_like(item):
            raise _not_a_source(who, f"a {type(value).__name__} with {_kind(item)} in it")
        items.append(item)
    return items


def _is_resource_like(value: Any) -> bool:
    return isinstance(value, (DltResource, DltSource, SourceFactory)) or inspect.isroutine(value)


def _not_a_source(who: str, found: str) -> SourceError:
    return SourceError(
        f"{who} returned what is neither a source nor a resource",
        expected="a source, or one or more resources",
        found=found,
        remedy=_ROWS_REMEDY,
    )


def _kind(value: Any) -> str:
    """Return what `value` is, without its contents."""
    if isinstance(value, DltSource):
        return f"source {value.name}"
    if isinstance(value, DltResource):
        return f"resource {value.name}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__}: rows must come out of a resource"
    if is_pandas_frame(value) or is_arrow_object(value):
        return f"a {type(value).__name__}: data must come out of a resource"
    return "None" if value is None else f"a {type(value).__name__}"
