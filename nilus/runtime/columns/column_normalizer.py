"""Normalizes rows by column where that gives what dlt gives, and lets dlt do it where not.

Names, types and hints of new columns are decided by dlt: it is shown the rows in which a column has its first value,
in their order. What is left is to bring values into types that are known, and that is done a column at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import IO, Any

import orjson
from dlt.common.json import json, may_have_pua
from dlt.common.schema import TSchemaUpdate
from dlt.common.schema.typing import TColumnName
from dlt.common.schema.utils import has_table_seen_data, is_nullable_column
from dlt.common.time import get_context_timezone_name

from nilus.runtime.columns import raw_column
from nilus.runtime.columns.chunk_files import BUFFER_BYTES, TableWriter
from nilus.runtime.columns.column_chunk import MAGIC, ColumnChunk
from nilus.runtime.columns.raw_column import RawColumn
from nilus.runtime.columns.row_ids import random_ids
from nilus.runtime.columns.typed_column import NotColumnar, Target, typed_column
from nilus.runtime.engine.internals import normalizer as row_normalizer
from nilus.runtime.engine.internals.normalizer import DataItemNormalizer
from nilus.runtime.engine.internals.stand_ins import JsonLItemsNormalizer
from nilus.runtime.engine.internals.writers import write_held_items

log = logging.getLogger("nilus")

_INTERNAL_PREFIX = "_dlt_"


class ColumnNormalizer(JsonLItemsNormalizer):
    """Stands in for dlt's normalizer of rows; reads what `ColumnWriter` wrote.

    A subclass: what it uses of `self` that begins with an underscore and is not defined here is dlt's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told: set[tuple[str, str]] = set()
        self._held_bytes = 0

    def __call__(self, extracted_items_file: str, root_table_name: str) -> list[TSchemaUpdate]:
        """Normalize a file of extracted rows; called by dlt."""
        with self.normalize_storage.extracted_packages.storage.open_file(extracted_items_file, "rb") as file:
            parts = _parts(file)
            first = next(parts, None)
            if first is None:
                return super().__call__(extracted_items_file, root_table_name)
            updates = [self._normalize_part(root_table_name, first)]
            for part in parts:
                updates.append(self._normalize_part(root_table_name, part))
        self._empty_where_all_was_discarded(root_table_name)
        return updates

    def _empty_where_all_was_discarded(self, table_name: str) -> None:
        """Load an empty file where a schema contract took every row, as dlt does: a replaced table is emptied."""
        table = self.schema.tables.get(table_name)
        if table is None or not has_table_seen_data(table):
            return
        if self.item_storage.get_active_writer(self.load_id, self.schema.name, table_name)[1] is None:
            columns = self.schema.get_table_columns(table_name)
            self.item_storage.write_empty_items_file(self.load_id, self.schema.name, table_name, columns)

    def _normalize_part(self, table_name: str, part: bytes | ColumnChunk) -> TSchemaUpdate:
        self._maybe_cancel()
        if isinstance(part, bytes):
            self._tell(table_name, "rows that are not dicts with texts as keys, or that dlt refuses")
            update = self._normalize_chunk(table_name, json.loadb(part), may_have_pua(part), False)
            self._write_out(len(part))
            return update
        before = self._before(table_name)
        try:
            return self._normalize_columns(table_name, part)
        except NotColumnar as reason:
            self._restore(before)
            self._tell(table_name, str(reason))
        rows, marked = part.typed_rows()
        return self._normalize_chunk(table_name, rows, marked, False)

    def _before(self, table_name: str) -> _Before:
        null_only = self._null_only_columns.get(table_name)
        return _Before(
            table_name,
            deepcopy(self.schema.tables.get(table_name)),
            None if null_only is None else set(null_only),
            set(self._filtered_tables),
            deepcopy(self._filtered_tables_columns),
        )

    def _restore(self, before: _Before) -> None:
        """Undo what dlt was shown: rows in between may have made columns of their own, which come first then."""
        schema, name = self.schema, before.table_name
        if before.table is not None and schema.tables[name] != before.table:
            schema.tables[name] = before.table
            self._column_schemas.pop(name, None)
            schema.data_item_normalizer.extend_table(name)
        self._filtered_tables = before.filtered_tables
        self._filtered_tables_columns = before.filtered_columns
        self._null_only_columns.pop(name, None)
        if before.null_only is not None:
            self._null_only_columns[name] = before.null_only

    def _tell(self, table_name: str, reason: str) -> None:
        if (table_name, reason) not in self._told and not table_name.startswith(_INTERNAL_PREFIX):
            self._told.add((table_name, reason))
            log.info("Table %r: rows are normalized one by one where there are %s", table_name, reason)

    def _normalize_columns(self, table_name: str, chunk: ColumnChunk) -> TSchemaUpdate:
        """Write a chunk as an Arrow table, and return the columns that are new.

        Raises:
            NotColumnar: dlt has to do it row by row; the schema may have been changed until then.
        """
        import pyarrow as pa  # type: ignore[import-untyped]

        normalizer = self._columnar(table_name)
        columns = self._name_columns(table_name, chunk, normalizer)
        update = self._decide_types(table_name, chunk, columns, normalizer)
        known = self.schema.get_table_columns(table_name)
        capabilities = self.config.destination_capabilities
        writer: type[TableWriter] = self.item_storage.writer_cls  # type: ignore[assignment]
        fields = writer.arrow_schema(known, capabilities, get_context_timezone_name())
        arrays = {
            normalizer.c_dlt_load_id: pa.repeat(pa.scalar(self.load_id, pa.string()), chunk.rows),
            normalizer.c_dlt_id: random_ids(chunk.rows),
        }
        for name, raw in columns.items():
            if raw.is_null:
                self._coerce_null_value(self.schema.tables[table_name]["columns"], table_name, name)
                continue
            override = self._timezone_override
            column = known[TColumnName(name)]
            timezone = override if override is not None else column.get("timezone", True)
            target = Target(column, fields.field(name).type, bool(timezone))
            arrays[TColumnName(name)] = typed_column(raw, chunk.rows, target, normalizer)
        for known_name, known_column in known.items():
            filled = arrays.get(TColumnName(known_name))
            if not is_nullable_column(known_column) and (filled is None or filled.null_count):
                raise NotColumnar("rows without a value in a column that has to have one")
        present = [field for field in fields if field.name in arrays]
        table = pa.Table.from_arrays([arrays[field.name] for field in present], schema=pa.schema(present))
        self.item_storage.write_data_item(self.load_id, self.schema.name, table_name, table, known)
        self._column_schemas[table_name] = known
        self._report_progress(table_name, chunk.rows)
        self._write_out(table.nbytes)
        return update

    def _columnar(self, table_name: str) -> DataItemNormalizer:
        """Return dlt's row normalizer, if nothing about the table asks for looking at each row.

        Raises:
            NotColumnar: something does.
        """
        normalizer = self.schema.data_item_normalizer
        if type(normalizer) is not DataItemNormalizer:
            raise NotColumnar("a normalizer of the source's own")
        if not issubclass(self.item_storage.writer_cls, TableWriter):
            raise NotColumnar("load files that are not parquet")
        if table_name not in self.schema.tables:
            raise NotColumnar("no hints of the table")
        if row_normalizer.excludes_columns(self.schema):
            raise NotColumnar("excluded columns")
        if self._filtered_tables or self._filtered_tables_columns.get(table_name):
            raise NotColumnar("rows or values that the schema contract discards")
        own = (
            self.schema.tables[table_name]["columns"].get(name)
            for name in (normalizer.c_dlt_id, normalizer.c_dlt_load_id)
        )
        if any(column is not None and column.get("data_type", "text") != "text" for column in own):
            raise NotColumnar("ids that are no texts")
        if not row_normalizer.has_random_ids(normalizer, table_name):
            raise NotColumnar("ids made of each row's values, as scd2, upsert and insert-only need them")
        return normalizer

    def _name_columns(
        self, table_name: str, chunk: ColumnChunk, normalizer: DataItemNormalizer
    ) -> dict[str, RawColumn]:
        """Return the columns under the names they have in the table.

        Raises:
            NotColumnar: a name is taken, or nested values become columns or tables of their own.
        """
        limit = row_normalizer.nesting_limit(normalizer, table_name)
        columns: dict[str, RawColumn] = {}
        for key, raw in chunk.columns.items():
            name = row_normalizer.column_name(normalizer, key)
            if name in columns:
                raise NotColumnar("two keys that become the same column")
            if name.startswith(_INTERNAL_PREFIX) or name in (normalizer.c_dlt_id, normalizer.c_dlt_load_id):
                raise NotColumnar("a column with a name of dlt's own")
            if _holds_nested(raw) and not row_normalizer.is_nested_type(normalizer, table_name, name, limit):
                raise NotColumnar("nested values that become columns or tables: max-table-nesting is above 0")
            columns[name] = raw
        return columns

    def _decide_types(
        self, table_name: str, chunk: ColumnChunk, columns: Mapping[str, RawColumn], normalizer: DataItemNormalizer
    ) -> TSchemaUpdate:
        """Show dlt the rows that decide on types of columns which have none yet; return what it adds to the schema.

        Raises:
            NotColumnar: it did not take all of them.
        """
        needed = {name for name, raw in columns.items() if not raw.is_null}
        needed |= {normalizer.c_dlt_id, normalizer.c_dlt_load_id}
        update: TSchemaUpdate = {}
        if needed <= self.schema.get_table_columns(table_name).keys():
            return update
        for row in chunk.firsts:
            found = self._normalize_chunk(table_name, [orjson.loads(row)], may_have_pua(row), True)
            for table, partial in found.items():
                update.setdefault(table, []).extend(partial)
        if self._filtered_tables or self._filtered_tables_columns.get(table_name):
            raise NotColumnar("rows or values that the schema contract discards")
        if not needed <= self.schema.get_table_columns(table_name).keys():
            raise NotColumnar("values that do not have the type of their column")
        return update

    def _write_out(self, size: int) -> None:
        """Let writers write what they hold, before it is too much."""
        self._held_bytes += size
        if self._held_bytes > BUFFER_BYTES:
            self._held_bytes = 0
            for writer in self.item_storage.buffered_writers.values():
                if not writer.closed:
                    write_held_items(writer)


@dataclass(frozen=True)
class _Before:
    """What a normalizer knew of a table before it tried to take a chunk by column."""

    table_name: str
    table: Any
    null_only: set[str] | None
    filtered_tables: set[str]
    filtered_columns: Any


def _parts(file: IO[bytes]) -> Iterator[bytes | ColumnChunk]:
    """Yield what an extracted file holds: chunks, and lines of JSON with a list of rows each."""
    while line := file.readline():
        if line == MAGIC:
            yield ColumnChunk.read(file)
        else:
            yield line


def _holds_nested(raw: RawColumn) -> bool:
    if raw.kind == raw_column.MIXED:
        return any(isinstance(value, (dict, list)) for value in orjson.loads(raw.data))
    return raw.kind == raw_column.NESTED
