"""Columns of tables that are written as a row's value would be: nested ones as JSON, UUIDs as text.

dlt hands a struct or list on as it is, which the formats of some destinations cannot hold, takes a column of texts for
text though its hint says `json`, and refuses UUIDs, the types of Arrow that are called views, and bytes in CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dlt
from dlt.common.json import json
from dlt.extract import DltSource

from nilus.errors import SourceError
from nilus.runtime.rows.steps import last_step
from nilus.runtime.rows.steps.frames import as_arrow, is_frame

WRITTEN_AS_JSON = b"nilus.json"
"""Metadata of a field whose texts are JSON that was made here."""


def apply(source: DltSource, hints: Mapping[str, str], *, keeps_nested: bool, is_csv: bool) -> None:
    """Let columns of tables be written as those of rows are, in place.

    Args:
        source: its selected resources are changed.
        hints: the workflow's type hints; nested columns hinted `json` are written as JSON in any case.
        keeps_nested: the destination has nested types: only hinted columns are written as JSON.
        is_csv: tables are loaded as CSV: bytes are written in hexadecimal digits.
    """
    normalize = source.schema.naming.normalize_path
    hinted = frozenset(normalize(column) for column, kind in hints.items() if kind == "json")
    for resource in source.selected_resources.values():
        last_step.add(
            resource, FrameColumns(resource.name, hinted, normalize, keeps_nested=keeps_nested, is_csv=is_csv)
        )


class FrameColumns:
    """Makes JSON and text of columns of one resource's tables; rows are left alone.

    Args:
        resource: its name, for messages.
        hinted: normalized names of columns that are JSON in any case.
        normalize: makes the table's name of a column's.
        keeps_nested: only hinted columns become JSON.
        is_csv: bytes are written in hexadecimal digits.
    """

    def __init__(
        self,
        resource: str,
        hinted: frozenset[str],
        normalize: Callable[[str], str],
        *,
        keeps_nested: bool,
        is_csv: bool,
    ) -> None:
        self._resource = resource
        self._hinted = hinted
        self._normalize = normalize
        self._keeps_nested = keeps_nested
        self._is_csv = is_csv
        self._known: dict[str, str] = {}

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return tables with their columns changed, and hints that say what they are, the first time they come.

        Raises:
            SourceError: a column hinted `json` whose values cannot be written as JSON.
        """
        if not is_frame(item[0] if isinstance(item, list) and item else item):
            return item
        found: dict[str, str] = {}
        tables = [self._convert_frame(one, found) if is_frame(one) else one for one in _items(item)]
        changed = tables if isinstance(item, list) else tables[0]
        if not found.keys() - self._known.keys() or meta is not None:
            return changed
        self._known |= found
        columns: Any = [{"name": name, "data_type": kind} for name, kind in sorted(self._known.items())]
        return dlt.mark.with_hints(changed, dlt.mark.make_hints(columns=columns))

    def _convert_frame(self, frame: Any, found: dict[str, str]) -> Any:
        import pyarrow as pa  # type: ignore[import-untyped]

        table = as_arrow(frame)
        for index, field in enumerate(table.schema):
            is_hinted = self._normalize(field.name) in self._hinted
            if not is_hinted and (self._keeps_nested or not pa.types.is_nested(field.type)):
                plain = _as_plain(table.column(index), is_csv=self._is_csv)
                if plain is not None:
                    if _is_binary(field.type) and pa.types.is_string(plain.type):
                        found[field.name] = "binary"
                    table = table.set_column(index, pa.field(field.name, plain.type, nullable=True), plain)
                continue
            found[field.name] = "json"
            if not pa.types.is_nested(field.type):
                continue
            values = self._texts(table.column(index), field)
            written = pa.field(field.name, pa.string(), nullable=True, metadata={WRITTEN_AS_JSON: b""})
            table = table.set_column(index, written, values)
        return table

    def _texts(self, column: Any, field: Any) -> Any:
        import pyarrow as pa

        values: Iterable[Any] = column.to_pylist(maps_as_pydicts="lossy")
        try:
            texts = [None if value is None else json.dumps(value) for value in values]
        except (TypeError, ValueError):
            error = SourceError(
                f"Resource {self._resource!r}: column {field.name!r} cannot be written as JSON",
                expected="numbers, text, dates, or nested values of these",
                found=f"a column of Arrow type {field.type}",
                remedy="correct type-hints, or the column in the source",
            )
        else:
            return pa.array(texts, pa.string())
        raise error


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    kinds = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(test(kind) for test in kinds)


def _as_plain(column: Any, *, is_csv: bool) -> Any:
    """Return a column in a type that dlt writes; None if it has one."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.UuidType):
        from dlt.common.libs.pyarrow import uuid_to_string

        return pa.chunked_array(map(uuid_to_string, column.chunks), pa.string())
    if is_csv and _is_binary(kind):
        return pa.array([None if value is None else f"\\x{value.hex()}" for value in column.to_pylist()], pa.string())
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    return None


def _items(item: Any) -> list[Any]:
    return item if isinstance(item, list) else [item]
