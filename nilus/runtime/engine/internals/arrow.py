"""How dlt takes Arrow tables: into which table and columns they go, what contracts drop, which ids rows get."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from dlt.common.data_types import type_helpers
from dlt.common.libs import pyarrow as dlt_arrow
from dlt.common.libs.pyarrow import get_py_arrow_datatype
from dlt.common.normalizers.json.helpers import get_row_hash
from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.schema import Schema
from dlt.common.schema.utils import dlt_id_column, normalize_table_identifiers
from dlt.common.time import get_context_timezone_name
from dlt.extract import DltResource
from dlt.extract.extractors import ArrowExtractor
from dlt.extract.hints import HintsMeta
from dlt.extract.items import TableNameMeta
from dlt.normalize import worker
from dlt.normalize.items_normalizers import arrow
from dlt.normalize.items_normalizers.arrow import ArrowItemsNormalizer

from nilus.runtime.engine.internals.stand_ins import replace_attribute

__all__ = [
    "ArrowExtractor",
    "ArrowItemsNormalizer",
    "arrow_type",
    "as_extractor",
    "as_table_normalizer",
    "conversions",
    "get_row_hash",
    "has_ids_of_content",
    "known_columns",
    "make_ids",
    "table_name",
]


@contextmanager
def as_extractor(**methods: Callable[..., Any]) -> Iterator[None]:
    """Let methods of dlt's extractor of Arrow tables be others; each wrapper is called with the method it replaces.

    Not by a subclass: dlt asks whether the class is this one.
    """
    with ExitStack() as stack:
        for name, wrap in methods.items():
            stack.enter_context(replace_attribute(ArrowExtractor, name, wrap(getattr(ArrowExtractor, name))))
        yield


@contextmanager
def as_table_normalizer(kind: type[ArrowItemsNormalizer]) -> Iterator[None]:
    """Let dlt normalize Arrow tables by this class."""
    with replace_attribute(worker, "ArrowItemsNormalizer", kind):
        yield


@contextmanager
def make_ids(ids: Callable[[Any], Any]) -> Iterator[None]:
    """Let dlt give the rows of Arrow tables the ids that a function makes of a table; they may come again."""
    read = dlt_arrow.pq_stream_with_new_columns
    repeatable = {**dlt_id_column(), "unique": False, "row_key": False}

    def read_with_ids(file: Any, new_columns: list[Any], row_groups_per_read: int = 1) -> Iterator[Any]:
        return read(file, [(index, field, ids) for index, field, _ in new_columns], row_groups_per_read)

    with (
        replace_attribute(dlt_arrow, "pq_stream_with_new_columns", read_with_ids),
        replace_attribute(arrow, "dlt_id_column", lambda: repeatable),
    ):
        yield


def has_ids_of_content(schema: Schema, table: str) -> bool:
    """Tell whether dlt compares the rows of a table by ids that are made of their content."""
    normalizer = schema.data_item_normalizer
    return isinstance(normalizer, DataItemNormalizer) and normalizer._get_root_row_id_type(table) == "row_hash"


def table_name(extractor: ArrowExtractor, resource: DltResource, item: Any, meta: Any) -> str:
    """Return the name of the table that an item goes to."""
    if resource.has_dynamic_table_name:
        return str(extractor._get_dynamic_table_name(resource, item))
    name = (meta.hints or {}).get("table_name") if isinstance(meta, HintsMeta) else None
    return str(extractor._get_static_table_name(resource, TableNameMeta(name) if isinstance(name, str) else meta))


def known_columns(extractor: ArrowExtractor, resource: DltResource, item: Any, meta: Any) -> dict[str, Any]:
    """Return the columns whose types are known before an item comes: of the table, by its hints, by their names."""
    given: Any = (meta.hints or {}).get("columns") if isinstance(meta, HintsMeta) else None
    hinted = normalize_table_identifiers(resource.compute_table_schema(item, meta), extractor.naming)["columns"]
    name = table_name(extractor, resource, item, meta)
    known = extractor.schema.tables.get(name, {"columns": {}})["columns"]
    names = map(extractor.naming.normalize_path, item.schema.names)
    preferred = {name: {"name": name, "data_type": extractor.schema.get_preferred_type(name)} for name in names}
    return {
        name: column
        for columns in (preferred, given if isinstance(given, dict) else {}, hinted, known)
        for name, column in columns.items()
        if column.get("data_type") is not None
    }


def arrow_type(extractor: ArrowExtractor, column: Any) -> Any:
    """Return the Arrow type of a column in the destination's files."""
    return get_py_arrow_datatype(column, extractor._caps, get_context_timezone_name())


@contextmanager
def conversions(changes: Mapping[tuple[str, str], Callable[[Any], Any]]) -> Iterator[dict[Any, Callable[[Any], Any]]]:
    """Let dlt convert values from one of its types to another by other functions; return those it had.

    Args:
        changes: from the two types, the wanted one first, to what converts a value.
    """
    table: Any = type_helpers._COERCE_DISPATCH
    before = dict(table)
    table.update(changes)
    try:
        yield before
    finally:
        table.clear()
        table.update(before)
