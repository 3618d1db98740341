"""The workflow's type hints: the type a column of that name has in every table.

dlt applies preferred types to rows that are dicts, and takes the columns of Arrow tables and DataFrames as they come.
Those are cast here, so that a hint means the same for every kind of row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, ClassVar

from dlt.common.schema import Schema
from dlt.common.typing import TDataItems
from dlt.extract import DltResource, DltSource

from nilus.errors import SourceError
from nilus.runtime.engine.internals.steps import ItemTransform, SupportsPipe
from nilus.runtime.rows.steps.column_fit import fit
from nilus.runtime.rows.steps.frames import as_arrow, is_frame
from nilus.values.interval import parse_instant

log = logging.getLogger("nilus")


def apply(source: DltSource, hints: Mapping[str, str], *, masked: Iterable[str] = ()) -> None:
    """Give the columns of `source` the hinted types; columns that never come are not made.

    Args:
        source: its selected resources are changed in place.
        hints: column, as the source or as the table names it, to one of dlt's data types.
        masked: columns that are masked: their hint is about what comes out, so tables are cast behind the mask.
    """
    if not hints:
        return
    normalize = source.schema.naming.normalize_path
    types: Any = {normalize(column): kind for column, kind in hints.items()}
    source.schema.update_preferred_types(types)
    behind = {normalize(column.replace(".", "__")) for column in masked}
    types = {column: kind for column, kind in types.items() if column not in behind}
    for resource in source.selected_resources.values():
        _cast_frames(resource, types, normalize)


def warn_of_other_types(schema: Schema, hints: Mapping[str, str], resources: Container[str]) -> None:
    """Say in the log which columns that exist already have another type than their hint: a column keeps its type.

    Args:
        schema: as the destination has it.
        hints: column to data type.
        resources: names of the resources that are loaded.
    """
    types = {schema.naming.normalize_path(column): kind for column, kind in hints.items()}
    for table in schema.data_tables():
        if table.get("resource") not in resources:
            continue
        for name, column in table["columns"].items():
            if name in types and column.get("data_type") != types[name]:
                log.warning(
                    "Column %r of table %r is %s already, and its type hint %s does not change it; full-refresh makes "
                    "the table anew",
                    name,
                    table["name"],
                    column.get("data_type"),
                    types[name],
                )


def _cast_frames(resource: DltResource, types: Mapping[str, str], normalize: Callable[[str], str]) -> None:
    resource.add_step(CastFrames(types, normalize))


class CastFrames(ItemTransform[Any, Any]):
    """The step that casts the columns of tables; rows pass untouched.

    Args:
        types: normalized column to data type.
        normalize: makes the table's name of a column's.
        resource: name for messages, where it is not a step of a pipe; then all values have to fit the type.
    """

    placement_affinity: ClassVar[float] = 0.96

    def __init__(self, types: Mapping[str, str], normalize: Callable[[str], str], resource: str = "") -> None:
        super().__init__(lambda row: row)
        self._types = types
        self._normalize = normalize
        self._resource = resource
        self._is_strict = bool(resource)

    def bind(self, pipe: SupportsPipe) -> CastFrames:
        """Take the resource's name, for messages; called by dlt."""
        self._resource = pipe.name
        return self

    def __call__(self, item: TDataItems, meta: Any = None) -> Any:  # noqa: ARG002 - dlt's signature
        """Return tables with the hinted types.

        Raises:
            SourceError: a column has values that the hinted type cannot hold.
        """
        if isinstance(item, list):
            return [self._cast(one) if is_frame(one) else one for one in item]
        return self._cast(item) if is_frame(item) else item

    def _cast(self, frame: Any) -> Any:
        import pyarrow as pa  # type: ignore[import-untyped]

        table = as_arrow(frame)
        for index, field in enumerate(table.schema):
            kind = self._types.get(self._normalize(field.name))
            if kind is None or pa.types.is_nested(field.type) or kind == "json":
                continue
            try:
                column = _as(table.column(index), kind) if self._is_strict else _fit_all(table.column(index), kind)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, TypeError) as error:
                raise SourceError(
                    f"Resource {self._resource!r}: column {field.name!r} cannot be read as {kind}, its type hint",
                    expected=f"values that are {kind}, or can be made it",
                    found=f"a column of Arrow type {field.type}: {str(error).splitlines()[0]}",
                    remedy="correct type-hints, or the column in the source",
                ) from error
            if column is None:  # what does not fit goes beside the column, as it does for rows
                continue
            table = table.set_column(index, pa.field(field.name, column.type, nullable=True), column)
        return table


def _fit_all(column: Any, kind: str) -> Any:
    """Return a column with the values that dlt makes of those of rows; None if one of them does not fit."""
    import pyarrow as pa

    if kind == "timestamp":
        try:
            return _as_timestamp(column)
        except (pa.ArrowException, ValueError, TypeError):
            pass
    target = _types().get(kind)
    found = None if target is None else fit(column, kind, target)
    return None if found is None or found.left is not None else found.array


def _as(column: Any, kind: str) -> Any:
    return _as_timestamp(column) if kind == "timestamp" else column.cast(_types()[kind])


def _types() -> dict[str, Any]:
    import pyarrow as pa

    return {
        "timestamp": pa.timestamp("us", "UTC"),
        "text": pa.string(),
        "bigint": pa.int64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "decimal": pa.decimal128(38, 9),
        "double": pa.float64(),
        "binary": pa.binary(),
        "time": pa.time64("us"),
    }


def _as_timestamp(column: Any) -> Any:
    """Return the column as instants, as dlt reads them out of rows: numbers are seconds since 1970, naive is UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    target = pa.timestamp("us", "UTC")
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.array([None if text is None else parse_instant(text) for text in column.to_pylist()], target)
    if pa.types.is_integer(kind):
        return column.cast(pa.timestamp("s", "UTC")).cast(target)
    if pa.types.is_floating(kind):
        return pc.round(pc.multiply(column, 1e6)).cast(pa.int64()).cast(target)
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return pc.assume_timezone(column.cast(pa.timestamp("us"), safe=False), "UTC")
    return column.cast(target)
