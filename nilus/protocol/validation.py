"""What comes over the pipe, held against the fields of its event: the source can write there as well."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable
from typing import Any

_LONGEST_NAME = 4_096
_LONGEST_TEXT = 64 << 20
_MOST_ITEMS = 100_000
_LARGEST = 1 << 63
_MAYBE_MINUS_ONE = "map_index"
_TEXTS = frozenset(("documentation", "manifest", "traceback"))


def check_fields(cls: Any, document: dict[str, Any]) -> None:
    """Hold a document against the annotations of a dataclass.

    Args:
        cls: the dataclass.
        document: values by field.

    Raises:
        ValueError: a field is unknown or missing, or a value has another type or is beyond the bounds of any.
    """
    hints = _hints(cls)
    required = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if not required <= document.keys() <= hints.keys():
        raise ValueError(f"expected the fields {', '.join(hints)}")
    for name, value in document.items():
        _check(value, hints[name], name, _LONGEST_TEXT if name in _TEXTS else _LONGEST_NAME)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _check(value: Any, hint: Any, name: str, longest: int) -> None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return
    if origin in (types.UnionType, typing.Union):
        if value is not None:
            _check(value, next(one for one in arguments if one is not type(None)), name, longest)
        return
    if origin in (list, tuple, dict):
        _check_items(value, origin, arguments, name)
        return
    lowest = -1 if name == _MAYBE_MINUS_ONE else 0
    is_right: dict[Any, Callable[[], bool]] = {
        str: lambda: isinstance(value, str) and len(value) <= longest,
        bool: lambda: isinstance(value, bool),
        int: lambda: type(value) is int and lowest <= value < _LARGEST,
        float: lambda: type(value) in (int, float) and 0 <= value < _LARGEST and math.isfinite(value),
    }
    if not is_right[hint]():
        raise ValueError(f"{name}: expected {hint.__name__}, found {type(value).__name__}, or a value out of bounds")


def _check_items(value: Any, origin: type[Any], arguments: tuple[Any, ...], name: str) -> None:
    kind = dict if origin is dict else list
    if not isinstance(value, kind) or len(value) > _MOST_ITEMS:
        raise ValueError(f"{name}: expected a {kind.__name__} of at most {_MOST_ITEMS} items")
    if origin is tuple and len(value) != len(arguments):
        raise ValueError(f"{name}: expected {len(arguments)} items, found {len(value)}")
    if origin is dict:
        for key in value:
            _check(key, str, f"a key of {name}", _LONGEST_NAME)
    items = value.values() if isinstance(value, dict) else value
    for item in items:
        _check(item, arguments[-1], f"{name}[…]", _LONGEST_NAME)
