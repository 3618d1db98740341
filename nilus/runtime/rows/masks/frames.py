"""Masks on Arrow tables and record batches, and on what becomes one: DataFrames of pandas and polars."""

from __future__ import annotations

from typing import Any

from nilus.errors import SourceError
from nilus.runtime.rows.masks.columns import Mask, MaskColumns, MisplacedValue, Node
from nilus.runtime.rows.steps.frames import as_arrow


def mask_frame(frame: Any, columns: MaskColumns) -> Any:
    """Return a table with its columns masked, as an Arrow table or record batch.

    A masked column has the type of what the mask gives in every batch, also in one that holds only nulls.

    Args:
        frame: whatever `nilus.runtime.rows.steps.frames.is_frame` says yes to.
        columns: the masks.

    Raises:
        SourceError: a value that its mask does not fit; a DataFrame that does not become a table.
    """
    table = _table(frame)
    names = table.schema.names
    for index, arrow_field in enumerate(table.schema):
        node = columns[arrow_field.name]
        if node is None:
            continue
        try:
            masked = _column(table.column(index), arrow_field, node, columns)
        except MisplacedValue as misplaced:
            error = columns.misplaced_error(names, misplaced)
            if error is None:
                continue
            raise error from None
        table = table.set_column(index, *masked)
    columns.note_columns(names)
    return table


def _table(frame: Any) -> Any:
    try:
        return as_arrow(frame)
    except Exception:  # noqa: BLE001 - what it says may hold a value that is to be masked
        error = SourceError(
            "A DataFrame cannot be made a table",
            expected="columns whose values are all of one type",
            found=f"a {type(frame).__name__} with values of several types in a column; they are not shown, since "
            "columns are masked",
            remedy="convert the column in the source",
        )
    raise error


def _column(column: Any, arrow_field: Any, node: Node, columns: MaskColumns) -> tuple[Any, Any]:
    """Return the field and the values of a masked column."""
    import pyarrow as pa  # type: ignore[import-untyped]

    kind = masked_type(arrow_field.type, node, columns)
    values = _values(column)
    masked = [columns.value(node, value) for value in values]
    if not values:
        columns.see_nothing(node)
    mask = node if isinstance(node, Mask) else None
    try:
        return pa.field(arrow_field.name, kind, nullable=True), pa.array(masked, type=kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        name = mask.column if mask else arrow_field.name
        error = SourceError(
            f"Column {name!r} cannot be masked: what comes out does not fit its type",
            expected=f"masked values of Arrow type {kind}",
            found="others; they are not shown",
            remedy="choose another mask, or a wider type in the source; nothing was loaded",
        )
    raise error


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if _holds_maps(kind):
        return list(column.to_pylist(maps_as_pydicts="strict"))
    return list(column.to_pylist())


def _holds_maps(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_map(kind):
        return True
    return any(_holds_maps(kind.field(index).type) for index in range(kind.num_fields))


def masked_type(kind: Any, node: Node, columns: MaskColumns) -> Any:
    """Return the Arrow type of a masked column.

    Args:
        kind: the type it has.
        node: its mask, or the masks in it.
        columns: all of them.

    Raises:
        Misplaced: a mask is in the column, but the column is not nested.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return masked_type(kind.value_type, node, columns)
    if isinstance(kind, pa.BaseExtensionType):
        return masked_type(kind.storage_type, node, columns)
    if _is_list(kind):
        return pa.list_(masked_type(kind.value_type, node, columns))
    if isinstance(node, Mask):
        return _result_type(kind, node)
    if types.is_struct(kind):
        fields = []
        for arrow_field in kind:
            below = columns.below(node, arrow_field.name)
            inner = arrow_field.type if below is None else masked_type(arrow_field.type, below, columns)
            fields.append(pa.field(arrow_field.name, inner, nullable=True))
        return pa.struct(fields)
    if types.is_null(kind):
        return kind
    raise MisplacedValue(node, f"a column of Arrow type {kind}")


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return any(
        test(kind) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view)
    )


def _result_type(kind: Any, mask: Mask) -> Any:
    import pyarrow as pa

    types = pa.types
    if mask.algorithm.result == "text":
        return pa.string()
    if mask.algorithm.result == "bigint":
        return pa.int64()
    if types.is_integer(kind):
        return pa.uint64() if types.is_uint64(kind) else pa.int64()
    if types.is_floating(kind):
        return pa.float64()
    if types.is_decimal(kind):
        return pa.decimal256(76, kind.scale) if kind.bit_width == 256 else pa.decimal128(38, kind.scale)
    if types.is_timestamp(kind):
        return pa.timestamp("us" if kind.unit == "ns" else kind.unit, kind.tz)
    if types.is_date(kind):
        return pa.date32()
    return kind
