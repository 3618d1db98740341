"""Ids of the rows of Arrow tables, made of their content where versions of rows are told apart by it.

dlt draws the ids of such rows at random, also where it compares rows by them: with scd2 each load would retire every
row and bring it again. Rows that come as dicts get ids of their content; so do those of tables here.
"""

from __future__ import annotations

from typing import Any

from dlt.common.json import json
from dlt.common.schema import TSchemaUpdate

from nilus.runtime.engine.internals.arrow import ArrowItemsNormalizer, get_row_hash, has_ids_of_content, make_ids


class TableNormalizer(ArrowItemsNormalizer):
    """Stands in for dlt's normalizer of Arrow tables."""

    def __call__(self, extracted_items_file: str, root_table_name: str) -> list[TSchemaUpdate]:
        """Normalize a file of extracted tables; called by dlt."""
        if not has_ids_of_content(self.schema, root_table_name):
            return super().__call__(extracted_items_file, root_table_name)
        columns = self.schema.get_table_columns(root_table_name)
        nested = {name for name, column in columns.items() if column.get("data_type") == "json"}
        # A version that was retired and comes again has the id it had before.
        with make_ids(lambda table: content_ids(table, nested)):
            return super().__call__(extracted_items_file, root_table_name)


def content_ids(table: Any, nested: set[str]) -> Any:
    """Return an id for each row of a table, the same for the same content.

    A null counts as no column: the columns that a table lacks are null, also those it gets only later.

    Args:
        table: Arrow's, with the columns and types of the sink's table.
        nested: columns whose texts are JSON; the order of the keys in it does not matter.
    """
    import pyarrow as pa  # type: ignore[import-untyped]

    names = table.schema.names
    values = [
        [None if text is None else json.loads(text) for text in column.to_pylist()]
        if name in nested and pa.types.is_string(column.type)
        else column.to_pylist()
        for name, column in zip(names, table.columns, strict=True)
    ]
    rows = zip(*values, strict=True)
    ids = [
        get_row_hash({name: value for name, value in zip(names, row, strict=True) if value is not None}) for row in rows
    ]
    return pa.array(ids, pa.string())
