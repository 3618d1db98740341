"""How dlt normalizes a row: names, nesting, ids, and which columns a schema leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.normalizers.utils import DLT_ID_LENGTH_BYTES
from dlt.common.schema import Schema

from nilus.runtime.engine.internals.stand_ins import replace_attribute

__all__ = [
    "DLT_ID_LENGTH_BYTES",
    "DataItemNormalizer",
    "column_name",
    "copy_load_id_to_child_tables",
    "excludes_columns",
    "has_random_ids",
    "is_nested_type",
    "nesting_limit",
    "without_collisions",
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


Refuse = Callable[[str, str, str, str], NoReturn]
"""Raises for a table, two keys as the row has them, and the name that both get in the table."""


@contextmanager
def without_collisions(refuse: Refuse) -> Iterator[None]:
    """Let no key of a row take the place of another, at any depth, for the time of the block.

    dlt keeps the last of the values of keys that become one column. Here nulls give way, and two values are refused.

    Args:
        refuse: called where two keys with values become one column, or one child table.
    """

    def flatten(
        self: DataItemNormalizer, table: str, dict_row: dict[str, Any], _r_lvl: int
    ) -> tuple[dict[str, Any], dict[tuple[str, ...], Sequence[Any]]]:
        row, lists = original(self, table, dict_row, _r_lvl)
        if len(row) + len(lists) == len(dict_row) and dict not in set(map(type, dict_row.values())):
            return row, lists
        taken: dict[str, str] = {}
        for path, name, value, is_table in _leaves(self, table, dict_row, _r_lvl):
            if value is None or (is_table and not value):
                continue
            place = f"{table}__{name}" if is_table else name
            if place in taken:
                refuse(table, taken[place], path, name)
            taken[place] = path
            if not is_table:
                row[name] = value
        return row, lists

    original = DataItemNormalizer._flatten
    with replace_attribute(DataItemNormalizer, "_flatten", flatten):
        yield


def _leaves(
    normalizer: DataItemNormalizer, table: str, row: dict[str, Any], limit: int
) -> Iterator[tuple[str, str, Any, bool]]:
    """Yield what dlt makes a column or a child table of: its keys, its name, its value, and whether it is a table."""
    todo: list[tuple[dict[str, Any], int, tuple[str, ...], str]] = [(row, limit, (), "")]
    while todo:
        values, level, path, keys = todo.pop()
        for key, value in values.items():
            part = column_name(normalizer, key)
            name = normalizer._shorten_fragments(*path, part) if path else part
            is_parted = type(value) in (dict, list) and not normalizer._is_nested_type(table, name, level)
            if is_parted and type(value) is dict:
                todo.append((value, level - 1, (*path, part), f"{keys}{key}."))
            else:
                yield f"{keys}{key}", name, value, is_parted
