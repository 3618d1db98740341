"""Functions of a class that dlt has decorated, bound to the instance they are reached through.

dlt's decorators replace a function by an object that is no descriptor, so `self` never reaches it. As
`nilus.resource` is `dlt.resource` itself, the class is put right afterwards: what takes `self` becomes a descriptor.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlt.extract import DltResource
    from dlt.extract.decorators import DltSourceFactoryWrapper

_CACHE = "__nilus_bound__"

# Functions that dlt 1.31 lays around a resource's function, by the qualified name of their code.
_PARALLEL_LAYER = "wrap_parallel_iterator."
_LAYERS = ("with_config.", "IncrementalResourceWrapper.wrap.", "Pipe._wrap_transform_step_meta.", _PARALLEL_LAYER)


def bind_decorated(cls: type) -> None:
    """Make the decorated functions of `cls` and its bases that take `self` reachable as methods; again is harmless."""
    if "dlt.extract.resource" not in sys.modules:
        return
    for base in cls.__mro__:
        for name, value in list(vars(base).items()):
            function = _function_of(value)
            if function is not None and _takes_self(function):
                setattr(base, name, BoundOnAccess(value))


class BoundOnAccess:
    """A class attribute that gives each instance a resource (or source function) of its own.

    The same instance gets the same object every time, as a function of a module is the same object every time;
    the class gets the one the decorator made, to be called with an instance.
    """

    def __init__(self, decorated: Any) -> None:
        self.decorated = decorated

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.decorated if instance is None else _bound_to(instance, self.decorated)


class _BoundResources:
    """What was bound to one instance, by the id of what the decorator made, which is kept so that its id stays its."""

    def __init__(self, owner: Any = None) -> None:
        self.owner = owner
        self.by_id: dict[int, tuple[Any, Any]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle or a deep copy of the owner starts afresh; a shallow copy is told by the owner it is not.
        return (_BoundResources, ())


def _bound_to(instance: Any, decorated: Any) -> Any:
    attributes = getattr(instance, "__dict__", None)
    bound = None if attributes is None else attributes.get(_CACHE)
    if bound is None or bound.owner is not instance:
        bound = _BoundResources(instance)
        if attributes is not None:
            attributes[_CACHE] = bound
    if id(decorated) not in bound.by_id:
        bound.by_id[id(decorated)] = (decorated, _bind(decorated, instance))
    return bound.by_id[id(decorated)][1]


def _bind(decorated: Any, instance: Any) -> Any:
    from dlt.extract import DltResource

    if isinstance(decorated, DltResource):
        return _bind_resource(decorated, instance)
    return _bind_source(decorated, instance)


def _bind_resource(resource: DltResource, instance: Any) -> DltResource:
    """Return a resource like `resource` whose function gets `instance` as its first argument.

    This is dlt's own `DltResource._clone` with another function: name, section, hints and steps are kept, and the
    wrappers for configuration and incremental are made anew, since they hold on to the function.
    """
    from dlt.extract.incremental import IncrementalResourceWrapper
    from dlt.extract.pipe import Pipe

    old = resource._pipe
    function, parallel = _peel(old.gen)
    parent, parent_pipe = resource._parent, old.parent
    if parent is not None and _needs_binding(parent):
        parent = _bound_to(instance, parent)
        parent_pipe = parent._pipe
    pipe = Pipe.from_data(resource.name, _method(function, instance), parent=parent_pipe)
    pipe._steps = [
        pipe.gen if step is old.gen else step for step in old.steps if not isinstance(step, IncrementalResourceWrapper)
    ]
    pipe._gen_idx = old._gen_idx
    bound = type(resource)(
        pipe,
        resource._clone_hints(resource._hints),  # type: ignore[arg-type]
        selected=resource.selected,
        section=resource.section,
    )
    bound._parent = parent
    wrapper = resource.incremental
    from_hints = wrapper._from_hints if isinstance(wrapper, IncrementalResourceWrapper) else None
    bound._inject_config(incremental_from_hints_override=from_hints)
    return bound.parallelize() if parallel else bound


def _bind_source(factory: DltSourceFactoryWrapper[Any, Any], instance: Any) -> DltSourceFactoryWrapper[Any, Any]:
    """Return a source function like `factory` whose function gets `instance` as its first argument."""
    bound = factory.clone()
    bound._f = _method(factory._f, instance)
    bound._update_wrapper()
    bound.wrap()
    return bound


def _needs_binding(decorated: Any) -> bool:
    function = _function_of(decorated)
    return function is not None and _takes_self(function)


def _function_of(value: Any) -> Callable[..., Any] | None:
    """Return the function that dlt decorated; None if `value` is no such thing, or its arguments are bound already."""
    from dlt.extract import DltResource
    from dlt.extract.decorators import DltSourceFactoryWrapper

    if isinstance(value, DltResource) and not value.args_bound and not value._pipe.is_empty:
        function = _peel(value._pipe.gen)[0]
    elif isinstance(value, DltSourceFactoryWrapper):
        function = value._f
    else:
        return None
    return function if callable(function) else None


def _takes_self(function: Callable[..., Any]) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    return bool(parameters) and parameters[0].name == "self" and parameters[0].kind is not parameters[0].KEYWORD_ONLY


def _peel(function: Any) -> tuple[Any, bool]:
    """Return the function without dlt's layers, and whether one of them was the one for parallel extraction."""
    parallel = False
    while (layer := _layer(function)) is not None:
        parallel = parallel or layer == _PARALLEL_LAYER
        function = function.__wrapped__
    return function, parallel


def _layer(function: Any) -> str | None:
    if not inspect.isfunction(function) or not hasattr(function, "__wrapped__"):
        return None
    if not function.__globals__.get("__name__", "").startswith("dlt."):
        return None
    return next((layer for layer in _LAYERS if function.__code__.co_qualname.startswith(layer)), None)


def _method(function: Callable[..., Any], instance: Any) -> Callable[..., Any]:
    # Not a bound method: dlt sets attributes on the function. It finds out what kind of function this is, and the
    # configuration the decorator derived, by following `__wrapped__`.
    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        return function(instance, *args, **kwargs)

    signature = inspect.signature(function)
    method.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return method
