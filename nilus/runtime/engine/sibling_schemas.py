"""Versions of a source's schema that runs stored beside each other: what the newest of them lacks.

Each run stores the schema it began with, and what it added to it. Where several load at once, each another resource of
one source, the one that comes last has not seen what the others added; dlt goes by the newest version alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from dlt import Pipeline
from dlt.common.schema import Schema
from dlt.destinations.job_client_impl import SqlJobClientBase

from nilus.runtime.engine.sql_dataset import SqlDataset

log = logging.getLogger("nilus")

_ANCESTORS_KEPT = 10
"""How many versions before it a stored schema names, in dlt."""

_MOST = 50
"""Versions that are read at most: it takes one for each task that loaded at once."""


def merge(pipeline: Pipeline, name: str) -> None:
    """Add to the schema the tables and columns that only other versions know and that are in the destination.

    What is not in the destination any more (it was dropped) stays forgotten. Only sinks that keep dlt's versions in a
    SQL table are looked into.

    Args:
        pipeline: synchronized with its destination; it has the schema.
        name: the schema's.
    """
    schema = pipeline.schemas[name]
    with pipeline.destination_client() as client:
        if not isinstance(client, SqlJobClientBase):
            return
        lacking = [table for sibling in _siblings(client, schema) for table in _lacking(schema, sibling)]
        if not lacking:
            return
        there = {
            table: {column.lower() for column in columns}
            for table, columns in client.get_storage_tables({table["name"] for table in lacking})
        }
    for table in lacking:
        known = _columns(schema, table["name"])
        columns = {
            column: hints
            for column, hints in table["columns"].items()
            if column not in known and column.lower() in there[table["name"]]
        }
        if columns:
            log.info("Schema %s: table %s is completed from the version another run stored", name, table["name"])
            partial: Any = {**({"name": table["name"]} if known else table), "columns": columns}
            schema.update_table(partial, normalize_identifiers=False)
    pipeline.schemas.save_schema(schema)


def _siblings(client: SqlJobClientBase, schema: Schema) -> Iterator[Schema]:
    """Yield the stored versions that are no ancestors of the schema, newest first."""
    dataset = SqlDataset(client)
    versions = dataset.schema.version_table_name
    if not dataset.exists(versions):
        return
    rows = dataset.execute(
        f"SELECT {dataset.name('version_hash')} FROM {dataset.table(versions)}"  # noqa: S608
        f" WHERE {dataset.name('schema_name')} = %s ORDER BY {dataset.name('inserted_at')} DESC",
        schema.name,
    )
    hashes = list(dict.fromkeys(str(row[0]) for row in rows))
    known = {schema.stored_version_hash, *schema.previous_hashes}
    if len(schema.previous_hashes) >= _ANCESTORS_KEPT:  # what is older than all it names may be an ancestor as well
        oldest = max((index for index, version in enumerate(hashes) if version in known), default=-1)
        hashes = hashes[: oldest + 1]
    for version in [version for version in hashes if version not in known][:_MOST]:
        stored = client.get_stored_schema_by_hash(version)
        if stored is not None:
            yield Schema.from_dict(json.loads(stored.schema))


def _lacking(schema: Schema, sibling: Schema) -> list[dict[str, Any]]:
    """Return the tables of which the sibling knows columns that the schema does not."""
    tables: list[Any] = sibling.data_tables()
    return [table for table in tables if table["columns"].keys() - _columns(schema, table["name"])]


def _columns(schema: Schema, table: str) -> set[str]:
    return set(schema.tables[table]["columns"]) if table in schema.tables else set()
