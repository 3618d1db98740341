"""Tables of a source that would be taken for Nilus's or dlt's own, whoever named them: a resource, a hint or a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dlt.common.pipeline import ExtractInfo
from dlt.common.schema import Schema
from dlt.common.schema.utils import pipeline_state_table

from nilus.errors import SourceError
from nilus.values.names import RESERVED_PREFIXES, is_reserved


def refuse(schema: Schema, rows: Mapping[str, int]) -> None:
    """Refuse a schema in which the source has filled, declared or changed a table of a reserved name.

    Args:
        schema: the source's, with what was extracted.
        rows: of each table, as they were normalized.

    Raises:
        SourceError: there is such a table.
    """
    taken = sorted({name for name in schema.tables if is_reserved(name)} - set(_untouched_tables(schema, rows)))
    if taken:
        raise SourceError(
            f"The source writes to {', '.join(taken)}, which is not a table of its own",
            expected=f"table names that do not begin with {' or '.join(RESERVED_PREFIXES)}",
            found=", ".join(f"{name} of resource {_resource(schema, name)!r}" for name in taken),
            remedy="name the table otherwise: in the resource's name, its table_name, or the rows that name it",
            retryable=False,
        )


def extracted_rows(info: ExtractInfo) -> dict[str, int]:
    """Return how many items were written for each table."""
    steps = [step for steps in info.metrics.values() for step in steps]
    return {name: count.items_count for step in steps for name, count in step["table_metrics"].items()}


def _untouched_tables(schema: Schema, rows: Mapping[str, int]) -> Iterator[str]:
    for name in (schema.version_table_name, schema.loads_table_name):
        if _resource(schema, name) == name and not rows.get(name):
            yield name
    state = schema.state_table_name
    columns = {schema.naming.normalize_identifier(name) for name in pipeline_state_table(add_dlt_id=True)["columns"]}
    if state in schema.tables and set(schema.tables[state]["columns"]) <= columns and rows.get(state, 0) <= 1:
        yield state


def _resource(schema: Schema, table: str) -> str | None:
    found = schema.tables.get(table, {})
    parent = found.get("parent")
    return found.get("resource") or (_resource(schema, parent) if parent else None)
