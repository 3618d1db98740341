"""The fast path: rows that a source yields one by one, or in lists, go through dlt by column.

What dlt decides, it decides itself, in the same order and on the same rows: names, types, hints, contracts, cursors.
Parts of it are stood in for while a source is extracted and normalized: the iterator over the items of resources
(`row_lists`), the writers of files (`chunk_files`) and the normalizer (`column_normalizer`).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Final

from dlt.extract import DltSource

from nilus.runtime.columns.arrow_tables import filter_present_columns, fit_columns, mark_variants
from nilus.runtime.columns.chunk_files import BoundedStorage, ColumnWriter, RowWriter, TableWriter
from nilus.runtime.columns.column_normalizer import ColumnNormalizer
from nilus.runtime.columns.lossless_conversions import lossless_conversions
from nilus.runtime.columns.row_lists import MAX_ROWS, RowListIterator
from nilus.runtime.columns.shared_tables import resources_in_lists
from nilus.runtime.columns.table_normalizer import TableNormalizer
from nilus.runtime.engine.internals import arrow, marks, stand_ins
from nilus.runtime.engine.internals.normalizer import without_collisions
from nilus.runtime.rows.steps import column_names

log = logging.getLogger("nilus")

AUTO: Final = "auto"
OFF: Final = "off"
MODES: Final = (AUTO, OFF)

_COLLECTED_AFTER = 20_000
"""So many more containers than before are alive when Python looks for cycles among the newest; its default is 700."""


@contextmanager
def batching(
    source: DltSource,
    mode: str,
    file_format: str | None,
    *,
    page_size: int = MAX_ROWS,
    table_writer: type[TableWriter] = TableWriter,
) -> Iterator[None]:
    """Extract and normalize `source` by column for the time of the block.

    Not from several threads at once: what is stood in for belongs to the process.

    Args:
        source: its resources have all their steps.
        mode: `auto`, or `off` for dlt's own way throughout; what a source may fill again is copied in both.
        page_size: the largest number of rows that are written together, and not more than a file is to have.
        file_format: of the load files. Columns are written as parquet; for other formats rows are only taken in lists.
        table_writer: writes parquet files as the sink loads them; one of its own is used in both modes.
    """
    if mode == OFF:
        own = table_writer is not TableWriter
        with (
            _no_value_changed(table_writer),
            stand_ins.as_writer(table_writer) if own else nullcontext(),
            stand_ins.as_item_iterator(RowListIterator),
        ):
            yield
        return
    by_column = file_format == "parquet" and stand_ins.is_json_orjson()
    settings = {"resources": resources_in_lists(source), "page_size": page_size, "defers_sets": by_column}
    iterator = type("SourceRowLists", (RowListIterator,), settings)
    with ExitStack() as stack:
        stack.enter_context(_seldom_collected())
        stack.enter_context(_no_value_changed(table_writer))
        stack.enter_context(stand_ins.as_item_iterator(iterator))
        if by_column:
            stack.enter_context(stand_ins.as_row_storage(BoundedStorage))
            stack.enter_context(stand_ins.as_row_normalizer(ColumnNormalizer))
            stack.enter_context(stand_ins.as_writer(ColumnWriter))
            stack.enter_context(stand_ins.as_writer(table_writer))
        else:
            log.info("Rows are normalized one by one: load files are %s, not parquet", file_format or "of dlt's choice")
        yield


@contextmanager
def _no_value_changed(table_writer: type[TableWriter]) -> Iterator[None]:
    """Let no value change on its way into a column that exists, for the time of the block."""
    with (
        lossless_conversions(),
        marks.escapes(),
        without_collisions(lambda table, *names: column_names.refuse(f"Table {table!r}", *names)),
        stand_ins.as_writer(RowWriter),
        arrow.as_table_normalizer(TableNormalizer),
        arrow.as_extractor(
            write_items=lambda write_items: fit_columns(write_items, table_writer.check_table),
            _apply_contract_filters=filter_present_columns,
            _compute_tables=mark_variants,
        ),
    ):
        yield


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let Python look for cycles in fewer objects, and less often, for the time of the block.

    Tens of thousands of rows are alive at a time. Python takes them for a leak and searches all that was ever imported,
    again and again: with nested rows that took longer than everything else together.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
