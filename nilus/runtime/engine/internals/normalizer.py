"""How dlt normalizes a row: names, nesting, ids, and which columns a schema leaves out."""

from __future__ import annotations

from typing import Any

from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.schema import Schema

__all__ = [
    "DataItemNormalizer",
    "column_name",
    "copy_load_id_to_child_tables",
    "excludes_columns",
    "has_random_ids",
    "is_nested_type",
    "nesting_limit",
]


def copy_load_id_to_child_tables(schema: Schema) -> None:
    """Let the rows of child tables have the column `_dlt_load_id` as well."""
    config: Any = {"propagation": {"root": {"_dlt_load_id": "_dlt_load_id"}}}
    DataItemNormalizer.update_normalizer_config(schema, config)


def excludes_columns(schema: Schema) -> bool:
    """Tell whether a schema has filters that leave out columns of some table."""
    return bool(schema._compiled_excludes)


def has_random_ids(normalizer: DataItemNormalizer, table: str) -> bool:
    """Tell whether the ids of a table's rows are drawn, and not made of the values of each row."""
    return bool(normalizer._get_root_row_id_type(table) == "random")


def nesting_limit(normalizer: DataItemNormalizer, table: str) -> Any:
    """Return how deep nested values of a table become columns and tables; None for no limit."""
    return normalizer._get_table_nesting_level(table, normalizer.max_nesting)


def column_name(normalizer: DataItemNormalizer, key: str) -> str:
    """Return the name of the column that a row's key becomes; a blank key has a name of its own."""
    if not key or key.isspace():
        return str(normalizer.EMPTY_KEY_IDENTIFIER)
    name: str = normalizer._normalize_identifier(key)
    return name


def is_nested_type(normalizer: DataItemNormalizer, table: str, column: str, limit: Any) -> bool:
    """Tell whether nested values of a column stay one value of type `json`.

    Args:
        normalizer: of the table's schema.
        table: the table.
        column: the column.
        limit: what `nesting_limit` returned.
    """
    return bool(normalizer._is_nested_type(table, column, limit))
