"""What a source and its resources say of themselves: hints, functions, parents, defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from dlt.common.jsonpath import compile_path
from dlt.extract import DltResource, DltSource, decorators
from dlt.extract.incremental import Incremental, IncrementalResourceWrapper
from dlt.extract.reference import SourceFactory
from dlt.extract.wrappers import wrap_additional_type
from jsonpath_ng import Child, Fields, JSONPath, Root
from jsonpath_ng.exceptions import JSONPathError

__all__ = [
    "IncrementalResourceWrapper",
    "SourceFactory",
    "ancestors_of",
    "default_disposition",
    "default_incremental",
    "hints_of",
    "incremental_steps",
    "is_connected",
    "parents_incrementals",
    "plain_path",
    "refuse_missing_arguments",
    "set_default_disposition",
    "wrap_additional_type",
    "wrap_functions",
]


def hints_of(resource: DltResource) -> dict[str, Any]:
    """Return what the resource itself says, where its properties answer with defaults; changes count."""
    hints: Any = resource._hints
    return {} if hints is None else hints


def is_connected(resource: DltResource) -> bool:
    """Tell whether there is something to read from: a transformer alone has nothing."""
    return bool(resource._pipe.is_data_bound)


def refuse_missing_arguments(resource: DltResource) -> None:
    """Refuse a resource that was returned uncalled, or reads from one that was.

    Raises:
        dlt.extract.exceptions.ParametrizedResourceUnbound: its function takes arguments and got none.
    """
    resource._pipe.full_pipe()


def ancestors_of(resource: DltResource) -> Iterator[str]:
    """Yield the names of the resources that a transformer reads from, the nearest first."""
    parent = resource._pipe.parent
    while parent is not None:
        yield parent.name
        parent = parent.parent


def incremental_steps(resource: DltResource) -> Iterator[Incremental[Any]]:
    """Yield the incrementals among the steps of a resource, however many there are."""
    yield from _incrementals(resource._pipe)


def parents_incrementals(resource: DltResource) -> Iterator[tuple[str, Incremental[Any]]]:
    """Yield the incrementals of all that a transformer reads from, with the name of the resource each belongs to."""
    pipe = resource._pipe.parent
    while pipe is not None:
        for found in _incrementals(pipe):
            yield pipe.name, found
        pipe = pipe.parent


def _incrementals(pipe: Any) -> Iterator[Incremental[Any]]:
    for step in pipe.steps:
        found = step.incremental or _default_of(pipe.gen) if isinstance(step, IncrementalResourceWrapper) else step
        if isinstance(found, Incremental):
            yield found


def plain_path(path: str) -> tuple[str, ...] | None:
    """Return the names a JSON path leads through; None if it is more than names: wildcards, lists, unions, filters.

    Args:
        path: as a cursor has it.
    """
    try:
        return _plain(compile_path(path))
    except JSONPathError:
        return None


def _plain(path: JSONPath) -> tuple[str, ...] | None:
    if isinstance(path, Root):
        return ()
    if isinstance(path, Fields):
        return (str(path.fields[0]),) if len(path.fields) == 1 and path.fields[0] != "*" else None
    if isinstance(path, Child):
        left, right = _plain(path.left), _plain(path.right)
        return None if left is None or right is None else left + right
    return None


def wrap_functions(source: DltSource, wrap: Callable[[Callable[..., Any], str], Callable[..., Any]]) -> None:
    """Put a wrapper around the functions of the selected resources and of those they read from, not of transformers.

    Args:
        source: changed in place.
        wrap: gets the function and the name of its resource.
    """
    for pipe in {id(pipe): pipe for pipe in source.resources.extracted_pipes}.values():
        function: Any = pipe.gen
        if not pipe.has_parent and callable(function):
            pipe.replace_gen(wrap(function, pipe.name))


def default_incremental(resource: DltResource) -> Incremental[Any] | None:
    """Return the incremental that is the default of an argument of the resource's function."""
    return _default_of(resource._pipe.gen)


def _default_of(function: Any) -> Incremental[Any] | None:
    parameter = IncrementalResourceWrapper.get_incremental_arg(inspect.signature(inspect.unwrap(function)))
    return parameter.default if parameter is not None and isinstance(parameter.default, Incremental) else None


def default_disposition() -> str:
    """Return what dlt's decorators put where no write disposition was given."""
    found: str = vars(decorators)["DEFAULT_WRITE_DISPOSITION"]
    return found


def set_default_disposition(value: str) -> None:
    """Let dlt's decorators put another text where no write disposition was given."""
    vars(decorators)["DEFAULT_WRITE_DISPOSITION"] = value
