"""Columns of a row that get the same name in the table: dlt would keep the last of them, and lose the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from dlt.extract import DltSource

from nilus.errors import SourceError
from nilus.runtime.rows.steps import last_step
from nilus.runtime.rows.steps.frames import as_arrow, is_frame

_KNOWN_SHAPES = 10_000


def apply(source: DltSource) -> None:
    """Let rows be refused in which two columns get one name, in place."""
    for resource in source.selected_resources.values():
        last_step.add(resource, OneName(resource.name, source.schema.naming.normalize_path))


def refuse(place: str, first: str, second: str, name: str) -> NoReturn:
    """Refuse a row.

    Args:
        place: where it comes from, or goes to.
        first: a column as the source names it; the keys of nested ones with points between them.
        second: another one.
        name: what both are called in the table.

    Raises:
        SourceError: always.
    """
    raise SourceError(
        f"{place}: the columns {first!r} and {second!r} get the same name in the table",
        expected="columns that differ by more than case and punctuation",
        found=f"{name!r} for both",
        remedy="rename one of them in the source: only one would be kept. SCHEMA_NAMING in source_env "
        "chooses another naming convention; direct keeps names as they are",
    )


class OneName:
    """Looks at the names of the columns of one resource's rows; each set of names once, if no two of them are the same.

    A column without a value gives way to the other one. What is nested is looked at where it becomes columns.

    Args:
        resource: its name, for messages.
        normalize: makes the table's name of a column's.
    """

    def __init__(self, resource: str, normalize: Callable[[str], str]) -> None:
        self._resource = resource
        self._normalize = normalize
        self._seen: set[tuple[Any, ...]] = set()

    def __call__(self, item: Any, meta: Any = None) -> Any:  # noqa: ARG002 - see last_step
        """Return an item as it came, or a table without columns that have no value beside another of their name.

        Raises:
            SourceError: two columns of a row or table get one name.
        """
        if is_frame(item):
            return self._without_twins(item)
        rows = item if isinstance(item, list) else (item,)
        if set(map(type, rows)) == {dict} and set(map(tuple, rows)) <= self._seen:
            return item
        if any(map(is_frame, rows)):
            return [self._without_twins(one) if is_frame(one) else one for one in rows]
        for row in rows:
            if isinstance(row, Mapping) and tuple(row) not in self._seen:
                self._check(row, tuple(row))
        return item

    def _check(self, row: Mapping[Any, Any], names: tuple[Any, ...]) -> None:
        if len(self._seen) >= _KNOWN_SHAPES:
            self._seen.clear()
        with_value: dict[str, Any] = {}
        for name in names:
            normalized = self._normalize(str(name))
            if row[name] is not None and with_value.setdefault(normalized, name) is not name:
                refuse(f"Resource {self._resource!r}", with_value[normalized], name, normalized)
        if len(set(map(self._normalize, map(str, names)))) == len(names):
            self._seen.add(names)

    def _without_twins(self, frame: Any) -> Any:
        table = as_arrow(frame)
        names = tuple(table.schema.names)
        if names in self._seen:
            return frame
        with_value: dict[str, int] = {}
        left: list[int] = []
        for index, name in enumerate(names):
            normalized = self._normalize(name)
            other = with_value.setdefault(normalized, index)
            if other == index:
                continue
            if table.column(index).null_count == table.num_rows:
                left.append(index)
            elif table.column(other).null_count == table.num_rows:
                left.append(other)
                with_value[normalized] = index
            else:
                refuse(f"Resource {self._resource!r}", names[other], name, normalized)
        if not left:
            self._seen.add(names)
            return frame
        return table.select([index for index in range(len(names)) if index not in left])
