"""dlt's incrementals: what compares the values under a cursor, what a lag takes off, and where a run of one begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

from dlt.common.incremental.typing import LastValueFunc
from dlt.extract.incremental import Incremental
from dlt.extract.incremental.exceptions import IncrementalCursorPathHasValueNone
from dlt.extract.incremental.lag import _apply_lag_to_value, _cursor_date_type
from dlt.extract.incremental.transform import ArrowIncremental, IncrementalTransform, JsonIncremental
from dlt.extract.items import SupportsPipe

__all__ = [
    "ArrowIncremental",
    "Comparison",
    "IncrementalCursorPathHasValueNone",
    "IncrementalTransform",
    "JsonIncremental",
    "lag_unit",
    "replace_comparison",
    "subtract_lag",
]

_DLT_BIND = Incremental.bind
_DLT_TRANSFORM = Incremental._make_or_get_transformer
_DLT_LAST_VALUE = Incremental._get_last_value
# Of each transformer's cursor, the last value and the digests its run began with: dlt binds it again for every item.
_BEGINNINGS: WeakKeyDictionary[SupportsPipe, dict[str, tuple[Any, list[str]]]] = WeakKeyDictionary()


class Comparison(Protocol):
    """What compares the values under cursors in dlt's place."""

    def transform_of(self, kind: type[IncrementalTransform]) -> type[IncrementalTransform]:
        """Return the class that takes the place of one of dlt's."""
        ...

    def begin(self, transform: IncrementalTransform, state: dict[str, Any]) -> None:
        """Get an instance ready; `state` is the cursor's part of the resource's state."""
        ...

    def take_lag(self, cursor: Incremental[Any], last: Any) -> Any:
        """Return the last value with the cursor's lag taken off."""
        ...


def replace_comparison(comparison: Comparison) -> None:
    """Let every incremental of this process compare its values by `comparison`, however a resource came by it.

    One with a function of its own for the last value, neither `max` nor `min`, stays as it is.
    """
    methods: dict[str, Callable[..., Any]] = {
        "bind": _bind_by(comparison),
        "_make_or_get_transformer": _transform_by(comparison),
        "_get_last_value": _last_value_by(comparison),
    }
    for name, method in methods.items():
        setattr(Incremental, name, method)


def lag_unit(cursor: Incremental[Any]) -> type[Any] | None:
    """Return `date` if the lag of a cursor is days, `datetime` if it is seconds, None if nothing says which."""
    return _cursor_date_type(cursor.get_incremental_value_type(), cursor.initial_value)


def subtract_lag(cursor: Incremental[Any], last: Any) -> Any:
    """Return a last value less the lag; the initial value does not count.

    Raises:
        ValueError: a value that no lag can be taken off.
    """
    function = cast("LastValueFunc[Any]", cursor.last_value_func)
    return _apply_lag_to_value(cast("float", cursor.lag), last, function, lag_unit(cursor))


def _is_ordered(cursor: Incremental[Any]) -> bool:
    return cursor.last_value_func in (min, max)


def _transform_by(comparison: Comparison) -> Callable[..., IncrementalTransform]:
    def make_or_get(self: Incremental[Any], cls: type[IncrementalTransform]) -> IncrementalTransform:
        if not _is_ordered(self):
            return _DLT_TRANSFORM(self, cls)
        kind = comparison.transform_of(cls)
        is_new = kind not in self._transformers
        transform = _DLT_TRANSFORM(self, kind)
        if is_new and kind is not cls:
            state = cast("dict[str, Any]", self._cached_state)
            beginning = _beginning(self)
            if beginning is not None:
                transform.start_unique_hashes = set(beginning[1])
                transform.last_value = state["last_value"]
            comparison.begin(transform, state)
        return transform

    return make_or_get


def _last_value_by(comparison: Comparison) -> Callable[[Incremental[Any]], Any]:
    def last_value(self: Incremental[Any]) -> Any:
        beginning = None if self._advanced else _beginning(self)
        if beginning is not None:
            # A transformer reads it for one item while the rows of others move it.
            return _take_lag(comparison, self, beginning[0])
        if self._current_last_value is not None or not _is_ordered(self):
            return _DLT_LAST_VALUE(self)
        state = self._cached_state if self._cached_state is not None else self.get_state()
        return _take_lag(comparison, self, state["last_value"])

    return last_value


def _bind_by(comparison: Comparison) -> Callable[[Incremental[Any], SupportsPipe], Incremental[Any]]:
    def bind(self: Incremental[Any], pipe: SupportsPipe) -> Incremental[Any]:
        # A transformer is called, and its cursor bound, for each item it reads from. Its rows are compared with the
        # value its run began with: the order of the items is not that of its rows.
        _DLT_BIND(self, pipe)
        if pipe.has_parent and self.end_value is None:
            state = cast("dict[str, Any]", self._cached_state)
            beginnings = _BEGINNINGS.setdefault(pipe, {})
            last, _ = beginnings.setdefault(self.cursor_path, (state["last_value"], list(state["unique_hashes"])))
            self._cached_state_start_value = last
            self._start_value = _take_lag(comparison, self, last)
        return self

    return bind


def _take_lag(comparison: Comparison, cursor: Incremental[Any], last: Any) -> Any:
    if not cursor.lag or last is None or cursor.end_value is not None or not _is_ordered(cursor):
        return last
    return comparison.take_lag(cursor, last)


def _beginning(cursor: Incremental[Any]) -> tuple[Any, list[str]] | None:
    pipe = cursor._bound_pipe
    if pipe is None or not pipe.has_parent or cursor.end_value is not None:
        return None
    return _BEGINNINGS.get(pipe, {}).get(cursor.cursor_path)
