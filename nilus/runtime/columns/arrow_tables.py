"""Arrow tables as dlt takes them, each column in the type that the table's has.

dlt leaves it to the destination to bring a column of another type into one that exists, and destinations squeeze: 1.5
becomes 2, a timestamp its day. Rows never do: what does not fit goes into a column beside it. Here it does for tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from dlt.extract import DltResource

from nilus.errors import SourceError
from nilus.runtime.engine.internals.arrow import ArrowExtractor, arrow_type, known_columns, table_name
from nilus.runtime.rows.steps.column_fit import ColumnFit, fit, plain_type
from nilus.runtime.rows.steps.frame_columns import WRITTEN_AS_JSON
from nilus.runtime.rows.steps.frames import as_arrow

_SHOWN_CHARACTERS: Final = 80
_VARIANT: Final = "v_%s"
_IS_VARIANT: Final = b"nilus.variant"
"""Metadata of the field of a column beside another."""


Check = Callable[[str, Any, Collection[str]], None]
"""Refuses what the sink cannot hold: gets the table's name, the table, and its columns whose texts are JSON."""


def fit_columns(write_items: Callable[..., None], check: Check) -> Callable[..., None]:
    """Return dlt's way to write tables with their columns brought into the types of the table first.

    Args:
        write_items: `ArrowExtractor.write_items`.
        check: called with each table.
    """

    def write(self: ArrowExtractor, resource: DltResource, items: Any, meta: Any) -> None:
        for item in items if isinstance(items, list) else [items]:
            table = _Table(self, resource, as_arrow(item), meta)
            fitted = table.fit()
            check(table.name, fitted, table.json_columns(fitted))
            write_items(self, resource, [fitted], meta)

    return write


def mark_variants(compute_tables: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return dlt's way to compute schemas of tables, with the columns beside others called that: contracts ask for it.

    Args:
        compute_tables: `ArrowExtractor._compute_tables`.
    """

    def compute(self: ArrowExtractor, resource: DltResource, items: Any, meta: Any) -> list[Any]:
        tables = compute_tables(self, resource, items, meta)
        for item in items if isinstance(items, list) else [items]:
            for field in item.schema:
                if _IS_VARIANT in (field.metadata or {}):
                    name = self.naming.normalize_path(field.name)
                    for column in (table["columns"].get(name) for table in tables):
                        if column is not None:
                            column["variant"] = True
        return tables

    return compute


def filter_present_columns(filter_item: Callable[..., Any]) -> Callable[..., Any]:
    """Return dlt's way to drop what a contract discards, for tables that lack a column of which values are discarded.

    Args:
        filter_item: `ArrowExtractor._apply_contract_filters`.
    """

    def apply(self: ArrowExtractor, item: Any, resource: DltResource, static_table_name: str | None) -> Any:
        table = static_table_name or self._get_dynamic_table_name(resource, item)
        discarded = self._filtered_columns.get(table)
        if not discarded:
            return filter_item(self, item, resource, static_table_name)
        present = set(map(self.naming.normalize_path, item.schema.names))
        self._filtered_columns[table] = {name: mode for name, mode in discarded.items() if name in present}
        try:
            return filter_item(self, item, resource, static_table_name)
        finally:
            self._filtered_columns[table] = discarded

    return apply


class _Table:
    """One Arrow table or record batch.

    Args:
        extractor: dlt's, which knows the schema.
        resource: the one that gave it.
        item: the table.
        meta: what came with it: hints, or the name of another table.
    """

    def __init__(self, extractor: ArrowExtractor, resource: DltResource, item: Any, meta: Any) -> None:
        self._extractor = extractor
        self._resource = resource
        self._item = item
        self._naming = extractor.naming
        self.name = table_name(extractor, resource, item, meta)
        self._known = known_columns(extractor, resource, item, meta)

    def fit(self) -> Any:
        """Return the table with its columns in the types they have in the destination's table.

        Raises:
            SourceError: a value fits neither the column nor the one beside it.
        """
        import pyarrow as pa  # type: ignore[import-untyped]

        fields, arrays, beside = [], [], []
        for field, array in zip(self._item.schema, self._item.columns, strict=True):
            found = self._fit(self._naming.normalize_path(field.name), field, array)
            fields.append(field.with_type(found.array.type))
            arrays.append(found.array)
            if found.left is not None:
                beside.append((field, found))
        for field, found in beside:
            name = self._naming.shorten_fragments(self._naming.normalize_path(field.name), _VARIANT % found.kind)
            array = self._fit_beside(name, field, found)
            fields.append(pa.field(name, array.type, metadata={_IS_VARIANT: b""}))
            arrays.append(array)
        if not beside and all(array is one for array, one in zip(arrays, self._item.columns, strict=True)):
            return self._item
        schema = pa.schema(fields, self._item.schema.metadata)
        return type(self._item).from_arrays(arrays, schema=schema)

    def json_columns(self, table: Any) -> set[str]:
        """Return the columns of a table whose texts are JSON."""
        return {
            field.name
            for field in table.schema
            if WRITTEN_AS_JSON in (field.metadata or {})
            or self._known.get(self._naming.normalize_path(field.name), {}).get("data_type") == "json"
        }

    def _fit(self, name: str, field: Any, array: Any) -> ColumnFit:
        import pyarrow as pa

        kind = field.type
        if pa.types.is_null(kind) or pa.types.is_nested(kind):
            return ColumnFit(array)
        column = self._known.get(name)
        if column is None:
            return _widen(array)
        if column["data_type"] == "json" and WRITTEN_AS_JSON in (field.metadata or {}):
            return ColumnFit(array)
        return fit(array, column["data_type"], self._target(column, kind))

    def _target(self, column: Any, kind: Any) -> Any:
        """Return the Arrow type of a column; dlt itself sees to the zones of timestamps."""
        import pyarrow as pa

        target = arrow_type(self._extractor, column)
        return pa.timestamp(target.unit, kind.tz) if pa.types.is_timestamp(target) and _is_timestamp(kind) else target

    def _fit_beside(self, name: str, field: Any, found: ColumnFit) -> Any:
        column = self._known.get(name)
        if column is None:
            return _widen(found.left).array
        fitted = fit(found.left, column["data_type"], self._target(column, found.left.type))
        if fitted.left is None:
            return fitted.array
        value = repr(fitted.example)
        raise SourceError(
            f"Resource {self._resource.name!r}: table {self.name!r} cannot hold a value of column {field.name!r}",
            expected=f"a value that fits the column, or {name!r} beside it",
            found=value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…",
            remedy="give the column a type that holds all its values by type-hints, and load with full-refresh",
        )


def _widen(array: Any) -> ColumnFit:
    import pyarrow as pa

    wanted = plain_type(array.type)
    try:
        return ColumnFit(array if array.type == wanted else array.cast(wanted))
    except pa.ArrowException:  # more text than one Arrow array holds, or a moment out of range
        return ColumnFit(array)


def _is_timestamp(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(kind))
