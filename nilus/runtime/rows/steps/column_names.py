"""Columns of a row that get the same name in the table: dlt would keep the last of them, and lose the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dlt.extract import DltSource

from nilus.errors import SourceError
from nilus.runtime.rows.steps import last_step
from nilus.runtime.rows.steps.frames import as_arrow, is_frame

_KNOWN_SHAPES = 10_000


def apply(source: DltSource) -> None:
    """Let rows be refused in which two columns get one name, in place."""
    for resource in source.selected_resources.values():
        nesting = resource.max_table_nesting
        depth = source.max_table_nesting if nesting is None else nesting
        last_step.add(resource, OneName(resource.name, source.schema.naming.normalize_path, is_flattened=bool(depth)))


class OneName:
    """Looks at the names of the columns of one resource's rows; each set of names once.

    Args:
        resource: its name, for messages.
        normalize: makes the table's name of a column's.
        is_flattened: nested dicts become columns, too.
    """

    def __init__(self, resource: str, normalize: Callable[[str], str], *, is_flattened: bool) -> None:
        self._resource = resource
        self._normalize = normalize
        self._is_flattened = is_flattened
        self._seen: set[tuple[Any, ...]] = set()

    def __call__(self, item: Any, meta: Any = None) -> Any:  # noqa: ARG002 - see last_step
        """Return an item as it came.

        Raises:
            SourceError: two columns of a row or table get one name.
        """
        rows = item if isinstance(item, list) else (item,)
        if not self._is_flattened and set(map(type, rows)) == {dict}:
            for names in set(map(tuple, rows)) - self._seen:
                self._check(names)
            return item
        for row in rows:
            if isinstance(row, Mapping):
                names = tuple(self._flatten(row)) if self._is_flattened else tuple(row)
                if names not in self._seen:
                    self._check(names)
            elif is_frame(row):
                self._check(tuple(as_arrow(row).schema.names))
        return item

    def _flatten(self, row: Mapping[Any, Any], inside: str = "") -> Iterator[str]:
        for key, value in row.items():
            name = f"{inside}{key}"
            if isinstance(value, Mapping) and value:
                yield from self._flatten(value, f"{name}__")
            else:
                yield name

    def _check(self, names: tuple[Any, ...]) -> None:
        if len(self._seen) >= _KNOWN_SHAPES:
            self._seen.clear()
        first: dict[str, Any] = {}
        for name in names:
            normalized = self._normalize(str(name))
            other = first.setdefault(normalized, name)
            if other is not name:
                raise SourceError(
                    f"Resource {self._resource!r}: the columns {other!r} and {name!r} get the same name in the table",
                    expected="columns that differ by more than case and punctuation",
                    found=f"{normalized!r} for both",
                    remedy="rename one of them in the source: only one would be kept. SCHEMA_NAMING in source_env "
                    "chooses another naming convention; direct keeps names as they are",
                )
        self._seen.add(names)
