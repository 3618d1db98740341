"""The source's schema as the destination has stored it, and the tables that should be there by it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from dlt import Pipeline
from dlt.common.destination.client import WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.schema import Schema
from dlt.destinations.job_client_impl import SqlJobClientBase

from nilus.runtime.engine import sibling_schemas

log = logging.getLogger("nilus")


def restore(pipeline: Pipeline, name: str) -> None:
    """Take the schema from the destination, also where no state of this key is there to name it.

    Without it a column whose type has changed would be loaded into the old one, and a refresh would drop nothing.

    Args:
        pipeline: synchronized with its destination.
        name: the source's.
    """
    if name not in pipeline.schemas:
        _fetch(pipeline, name)
    if name in pipeline.schemas:
        sibling_schemas.merge(pipeline, name)
    if pipeline.default_schema_name not in (None, name):
        # The source was renamed. dlt puts its state beside the old one's tables, as a second package.
        pipeline.default_schema_name = name if name in pipeline.schemas else None


def _fetch(pipeline: Pipeline, name: str) -> None:
    with pipeline.destination_client() as client:
        if isinstance(client, WithStateSync):
            try:
                stored = client.get_stored_schema(name)
            except DestinationUndefinedEntity:  # no dataset yet
                return
            if stored is not None:
                pipeline.schemas.save_schema(Schema.from_dict(json.loads(stored.schema)))


def make_missing_tables(pipeline: Pipeline, tables: Iterable[str]) -> None:
    """Make tables and columns anew that somebody dropped: dlt itself looks only whether its schema has changed.

    Args:
        pipeline: with a normalized package.
        tables: those the package loads.
    """
    with pipeline.destination_client() as client:
        if (
            not isinstance(client, SqlJobClientBase)
            or not client.get_storage_table(client.schema.version_table_name)[0]
            or client.get_stored_schema_by_hash(client.schema.stored_version_hash) is None
        ):
            return
        fold = client.capabilities.generates_case_sensitive_identifiers()
        missing = [
            name
            for name, columns in client.get_storage_tables(tables)
            if client.schema.get_new_table_columns(name, columns, fold)
        ]
        if missing:
            log.warning("Tables or columns are gone from the sink, and are made anew: %s", ", ".join(missing))
            client.update_stored_schema(only_tables=missing, force=True)
