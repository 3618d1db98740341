"""The hints of a resource as an object that is replaced: under which of them a row came."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final

from dlt.common.normalizers.json.helpers import normalize_table_identifier
from dlt.extract import DltResource

__all__ = ["HintsOfRows", "hints_now", "normalize_table_identifier", "table_variants"]

_ATTRIBUTES: Final = ("_hints", "_table_name_hint_fun", "_table_has_other_dynamic_hints")
"""What dlt's `apply_hints` replaces of a resource."""

hints_now: Final[Callable[[DltResource], Any]] = attrgetter("_hints")
"""Returns the object that holds a resource's hints until `apply_hints` replaces it; asked once for every row."""


def table_variants(resource: DltResource) -> Collection[str]:
    """Return the tables for which a resource has hints of their own, beside those of its main table."""
    variants: Collection[str] = resource._hints_variants
    return variants


class HintsOfRows:
    """The hints of one resource at a row.

    Args:
        resource: the one whose rows they are.

    Attributes:
        hints: dlt's object, which `apply_hints` replaces by another.
    """

    def __init__(self, resource: DltResource) -> None:
        self._resource = resource
        self._values = self._current()
        self.hints: Any = hints_now(resource)

    def _current(self) -> dict[str, Any]:
        return {name: getattr(self._resource, name) for name in _ATTRIBUTES}

    def _put(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self._resource, name, value)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let these hints be the resource's for the time of the block, whatever it has by now."""
        later = self._current()
        self._put(self._values)
        try:
            yield
        finally:
            self._put(later)
