"""The rows of one load into a table and its child tables: appended, put in the place of others, or merged.

Iceberg commits a table at a time. So child tables come first and the table they belong to last: what an interrupted
load left can then be told by rows whose parent is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema import Schema
from dlt.common.schema.utils import (
    get_columns_names_with_prop,
    get_dedup_sort_tuple,
    get_first_column_name_with_prop,
    get_nested_tables,
)
from dlt.common.storages.load_package import ParsedLoadJobFileName

from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.commit import Change, commit, drop_all, has_landed
from nilus.runtime.sinks.lakehouse.keys import MergeRule
from nilus.runtime.sinks.lakehouse.ledger import Ledger, Row
from nilus.runtime.sinks.lakehouse.merge import merge
from nilus.runtime.sinks.lakehouse.table import TableLoad

STATES: Final = 100
"""How many states of a pipeline are kept; only the newest are ever asked for."""


def load_chain(
    lake: Lake,
    namespace: str,
    schema: Schema,
    root: Mapping[str, Any],
    files: Sequence[Path],
    load_id: str,
    capabilities: DestinationCapabilitiesContext,
) -> None:
    """Load the files of a table and its child tables, one snapshot each.

    Args:
        lake: the warehouse.
        namespace: the dataset's.
        schema: of the source.
        root: the table, prepared to be loaded.
        files: of all tables of the chain.
        load_id: of the load.
        capabilities: of the destination.
    """
    by_table: dict[str, list[Path]] = {}
    for file in sorted(files):
        by_table.setdefault(ParsedLoadJobFileName.parse(file.name).table_name, []).append(file)
    names = [str(table["name"]) for table in get_nested_tables(schema.tables, root["name"])]
    if root["name"] == schema.state_table_name:
        _keep_state(TableLoad(lake, namespace, str(root["name"]), sorted(files), load_id), root)
        return
    loads = {name: TableLoad(lake, namespace, name, by_table.get(name, []), load_id) for name in names}
    disposition, own = root["write_disposition"], loads[root["name"]]
    children = [load for name, load in loads.items() if name != root["name"] and load.exists]
    rule = _rule(schema, root, capabilities) if disposition == "merge" else None
    if rule is not None and rule.keys:
        merge(own, children, rule, _root_ids(schema, names))
        return
    for load in [*reversed(children), own]:
        if disposition == "replace":
            load.replace()
        elif load.files:
            load.append()


def _keep_state(own: TableLoad, root: Mapping[str, Any]) -> None:
    """Add the state of a load to the small table of states, where old ones are dropped now and then."""
    if has_landed(own.table(), own.load_id):
        return
    ledger = Ledger(own.lake, own.namespace, own.name, tuple(root["columns"].values()), _newest_states)
    ledger.add(own.rows(), own.summary)


def _newest_states(rows: list[Row]) -> list[Row]:
    by_pipeline: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda one: float(one["_dlt_load_id"]), reverse=True):
        by_pipeline.setdefault(row["pipeline_name"], []).append(row)
    return [row for states in by_pipeline.values() for row in states[:STATES]]


def empty(lake: Lake, namespace: str, name: str) -> None:
    """Remove all rows of a table, if it is there, as one snapshot."""
    if lake.table(namespace, name) is not None:
        commit(lambda: lake.catalog.load_table((namespace, name)), lambda _: Change(rewrite=drop_all), {})


def _rule(schema: Schema, root: Mapping[str, Any], capabilities: DestinationCapabilitiesContext) -> MergeRule:
    """Return what dlt's hints say of merging; without a key, dlt's own meaning: rows are appended."""
    table: Any = root
    strategy = resolve_merge_strategy(schema.tables, table, capabilities)
    merge_keys = () if strategy in ("upsert", "insert-only") else get_columns_names_with_prop(table, "merge_key")
    dedup = get_dedup_sort_tuple(table)
    return MergeRule(
        primary=tuple(get_columns_names_with_prop(table, "primary_key")),
        merge=tuple(merge_keys),
        dedup=(dedup[0], dedup[1]) if dedup else None,
        hard_delete=get_first_column_name_with_prop(table, "hard_delete"),
        insert_only=strategy == "insert-only",
    )


def _root_ids(schema: Schema, names: Iterable[str]) -> dict[str, str]:
    """Return by child table the column that holds the id of the row at the root."""
    return {
        name: column
        for name in names
        if (column := get_first_column_name_with_prop(schema.tables[name], "root_key")) is not None
    }
