"""The resources of a source that are run, and what is checked and put right before they are."""

from __future__ import annotations

import difflib
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from dlt.extract import DltResource, DltSource
from dlt.extract.exceptions import InvalidResourceDataTypeIsNone, ParametrizedResourceUnbound

from nilus.errors import SourceError
from nilus.runtime.engine.internals.resources import (
    is_connected,
    refuse_missing_arguments,
    wrap_additional_type,
    wrap_functions,
)
from nilus.runtime.rows.steps import sets_to_lists
from nilus.runtime.source import disposition

log = logging.getLogger(__name__)


def select(source: DltSource, names: Sequence[str] | None, *, who: str) -> None:
    """Let `source` run the named resources only; None leaves its own choice.

    Raises:
        SourceError: there is no such resource, or the list is empty.
    """
    if names is None:
        return
    known = list(source.resources)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        nearest = sorted(known, key=lambda name: (-_likeness(name, unknown), name))
        raise SourceError(
            f"{who}: no resource {', '.join(map(repr, unknown))}" if unknown else f"{who}: no resource is selected",
            expected=f"resources of source {source.name!r}: {', '.join(nearest) or 'it has none'}",
            found=", ".join(names) or "an empty list",
            remedy="correct the operator's `resources`, or leave it out to run all of them",
        )
    source.resources.select(*names)


def _likeness(name: str, others: Iterable[str]) -> float:
    return max((difflib.SequenceMatcher(None, name, other).ratio() for other in others), default=0.0)


def prepare(source: DltSource, *, who: str) -> None:
    """Check the selected resources and make their rows writable.

    Afterwards a hint that a resource did not give is not in its hints, a function that gives None or a bare value fails
    with a message that says so, and sets in rows are written as lists.

    Raises:
        SourceError: a resource needs arguments, or a transformer has nothing to read from.
    """
    selected = source.selected_resources
    if not selected:
        log.warning("%s returned a source without resources to run: nothing is loaded", who)
    for resource in source.resources.values():
        disposition.forget_unset(resource)
    for resource in selected.values():
        _check_bound(resource, who)
        sets_to_lists.write_sets_as_lists(resource)
    wrap_functions(source, lambda function, name: _check_function(function, f"{who}: resource {name!r}"))


def _check_bound(resource: DltResource, who: str) -> None:
    if not is_connected(resource):
        raise SourceError(
            f"{who}: transformer {resource.name!r} has no resource to read from",
            expected="a transformer that gets its items from a resource",
            found="a transformer alone",
            remedy=f"return `some_resource | {resource.name}`, or give data_from=… in its decorator",
        )
    try:
        refuse_missing_arguments(resource)
    except ParametrizedResourceUnbound as error:
        raise SourceError(
            f"{who}: resource {error.resource_name!r} needs arguments",
            expected=f"a call with the arguments {error.sig}",
            found="the resource was returned uncalled",
            remedy=f"call it where it is returned: `{error.func_name}(…)`",
        ) from error


def _check_function(function: Callable[..., Any], who: str) -> Callable[..., Any]:
    """Wrap the function of a resource so that what dlt would take for garbage or refuse in riddles is said.

    dlt iterates over what a function returns: over the keys of a dict, the characters of a text, the column names of
    a DataFrame; and it does not await a coroutine.
    """

    @functools.wraps(function)
    def checking_function(*args: Any, **kwargs: Any) -> Any:
        try:
            value = function(*args, **kwargs)
        except InvalidResourceDataTypeIsNone:
            value = None
        value = wrap_additional_type(value)
        if isinstance(value, Awaitable):
            return iter([value])
        if isinstance(value, (dict, str, bytes)) or not isinstance(value, (Iterable, AsyncIterator)):
            raise SourceError(
                f"{who} yields nothing: its function returned {_a(value)}",
                expected="a function that yields rows, or returns a list of them",
                found=f"a return value of type {type(value).__name__}",
                remedy="yield the rows; a single row is yielded, too, or returned in a list",
            )
        return value

    checking_function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return checking_function


def _a(value: Any) -> str:
    return "None" if value is None else f"a bare {type(value).__name__}"
