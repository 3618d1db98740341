"""A load merged into a table and its child tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from nilus.runtime.sinks.lakehouse.commit import Change, has_landed, rewrite_without, rows_of
from nilus.runtime.sinks.lakehouse.keys import Incoming, MergeRule
from nilus.runtime.sinks.lakehouse.table import TableLoad
from nilus.runtime.sinks.lakehouse.types import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.table import FileScanTask, Table

_ROW_ID: Final = "_dlt_id"


def merge(own: TableLoad, children: Sequence[TableLoad], rule: MergeRule, root_ids: Mapping[str, str]) -> None:
    """Merge a load into a table: child tables first, each as one snapshot.

    Args:
        own: the rows of the table.
        children: those of its child tables, parents before their children.
        rule: how rows are merged; it has a key.
        root_ids: by child table, the column with the id of the row at the root.
    """
    table = own.table()
    if has_landed(table, own.load_id):
        return
    incoming = Incoming(rule, own.files, arrow_schema(table.schema()), own.name)
    if rule.insert_only:
        _leave_out_what_is_there(table, incoming)
    gone = _ids_of_matches(table, incoming) if children and not rule.insert_only else set()
    kept = own.ids(_ROW_ID, incoming.keep) if children else set()
    for child in reversed(children):
        _merge_child(child, root_ids[child.name], gone, kept)
    added = own.write(table, incoming.keep)
    if rule.insert_only:
        own.commit(Change(added=added))
        return
    taken: set[str] = set()

    def goes(rows: pa.Table) -> pa.Array:
        found = incoming.matches(rows)
        if children:
            taken.update(rows.filter(found).column(_ROW_ID).to_pylist())
        return found

    columns = [*rule.key_columns, _ROW_ID] if children else rule.key_columns
    own.commit(Change(added=added, rewrite=rewrite_without(goes, columns), where=incoming.may_match))
    for child in reversed(children) if taken - gone else ():  # of rows that another writer brought meanwhile
        child.remove(root_ids[child.name], taken - gone)


def _merge_child(child: TableLoad, root_id: str, gone: set[str], kept: set[str]) -> None:
    """Put the child rows of the rows that are put in, in the place of those of the rows that go."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    table = child.table()
    if has_landed(table, child.load_id):
        return
    of_gone, of_kept = pa.array(sorted(gone), pa.string()), pa.array(sorted(kept), pa.string())
    keep = pc.is_in(child.column(root_id), value_set=of_kept)
    rewrite = (
        rewrite_without(lambda rows: pc.is_in(rows.column(root_id), value_set=of_gone), [root_id]) if gone else None
    )
    child.commit(Change(added=child.write(table, keep), rewrite=rewrite))


def _leave_out_what_is_there(table: Table, incoming: Incoming) -> None:
    for task in _tasks(table, incoming):
        for rows in rows_of(table, task, incoming.rule.primary):
            incoming.drop_present(rows)


def _ids_of_matches(table: Table, incoming: Incoming) -> set[str]:
    found: set[str] = set()
    for task in _tasks(table, incoming):
        for rows in rows_of(table, task, [*incoming.rule.key_columns, _ROW_ID]):
            found |= set(rows.filter(incoming.matches(rows)).column(_ROW_ID).to_pylist())
    return found


def _tasks(table: Table, incoming: Incoming) -> Iterable[FileScanTask]:
    if table.current_snapshot() is None:
        return []
    return table.scan(row_filter=incoming.may_match(table)).plan_files()
