"""dlt's columns as Iceberg's, and Arrow tables made to fit them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from nilus.errors import DestinationError

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.types import IcebergType

DECIMAL: Final = (38, 9)
"""Precision and scale of decimals that say none, and the most digits Iceberg has."""


def iceberg_type(column: Mapping[str, Any]) -> IcebergType:
    """Return the Iceberg type of a column of dlt's.

    Integers are always `long`, so that no column has to be widened because the first rows held small numbers. Times
    are microseconds. Nested values are JSON texts.
    """
    from pyiceberg import types

    kind = column["data_type"]
    if kind == "timestamp":
        return types.TimestampType() if column.get("timezone") is False else types.TimestamptzType()
    if kind == "decimal":
        precision, scale = column.get("precision"), column.get("scale")
        return types.DecimalType(precision or DECIMAL[0], (DECIMAL[1] if scale is None else scale))
    plain = {
        "text": types.StringType(),
        "json": types.StringType(),
        "bigint": types.LongType(),
        "double": types.DoubleType(),
        "bool": types.BooleanType(),
        "date": types.DateType(),
        "time": types.TimeType(),
        "binary": types.BinaryType(),
        "wei": types.DecimalType(38, 0),
    }
    return plain[kind]


def new_schema(columns: Iterable[Mapping[str, Any]]) -> Schema:
    """Return the schema of a table that is made: every column may be null, so that later rows may lack it."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    return Schema(
        *[
            NestedField(
                field_id=number,
                name=column["name"],
                field_type=iceberg_type(column),
                required=False,
                doc=column.get("description"),
            )
            for number, column in enumerate(columns, start=1)
        ]
    )


def evolve(table: Table, columns: Iterable[Mapping[str, Any]]) -> bool:
    """Add the columns a table lacks and widen those that Iceberg can widen; no data file is rewritten.

    Args:
        table: as it is now.
        columns: dlt's.

    Returns:
        Whether anything had to be changed.
    """
    from pyiceberg.schema import promote

    present = {field.name: field for field in table.schema().fields}
    new, wider = [], {}
    for column in columns:
        wanted, field = iceberg_type(column), present.get(column["name"])
        if field is None:
            new.append((column["name"], wanted, column.get("description")))
        elif field.field_type != wanted:
            try:
                wider[column["name"]] = promote(field.field_type, wanted)
            except Exception:  # noqa: BLE001, S112 - no widening: rows are cast to the table's type, or refused
                continue
    if not (new or wider):
        return False
    with table.transaction() as transaction, transaction.update_schema() as update:
        for name, kind, doc in new:
            update.add_column(name, kind, doc=doc)
        for name, kind in wider.items():
            update.update_column(name, kind)
    return True


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema that tables must have to be written into an Iceberg table, without field ids."""
    import pyarrow as pa
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    return pa.schema([pa.field(field.name, _small(field.type)) for field in schema_to_pyarrow(schema)])


def conform(table: pa.Table, wanted: pa.Schema, *, where: str) -> pa.Table:
    """Return `table` with exactly the columns and types of `wanted`; columns that it lacks are null.

    Args:
        table: rows of a load file.
        wanted: what `arrow_schema` returned.
        where: the table's name, for messages.

    Raises:
        DestinationError: a value does not fit its column, or a column is not in the table.
    """
    import pyarrow as pa

    unknown = set(table.column_names) - set(wanted.names)
    if unknown:
        raise DestinationError(
            f"Table {where!r} of the lakehouse lacks columns of the rows",
            expected=f"the columns {', '.join(sorted(unknown))}",
            found="a table whose schema was changed by somebody else during the load",
            remedy="run the task again",
            retryable=True,
        )
    columns = []
    for field in wanted:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name)
        try:
            columns.append(column if column.type == field.type else _cast(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DestinationError(
                f"Column {field.name!r} of table {where!r} has values that its type does not hold",
                expected=f"values of the type {field.type}",
                found=f"a column of the type {column.type} that cannot be converted without loss",
                remedy="give the column its type by type-hints, or load it into a table of its own",
            ) from error
    return pa.table(columns, schema=wanted)


def _small(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_large_string(kind):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(kind) else kind


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type) and pa.types.is_string(kind):
        return _as_json(column)
    if pa.types.is_string(kind) and pa.types.is_boolean(column.type):
        return column.cast(pa.string())
    return column.cast(kind)


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    from dlt.common.json import json

    texts = [None if value is None else json.dumps(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])
