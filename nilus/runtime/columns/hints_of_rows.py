"""The hints under which rows came, when the generator that gave them has changed its hints since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dlt.extract import DltResource

_ATTRIBUTES: Final = ("_hints", "_table_name_hint_fun", "_table_has_other_dynamic_hints")
"""What dlt's `apply_hints` replaces of a resource."""


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
        self.hints: Any = resource._hints

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
