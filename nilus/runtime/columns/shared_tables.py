"""Which resources of a source write to a table of their own."""

from __future__ import annotations

from collections import Counter
from functools import partial

from dlt.extract import DltResource, DltSource

from nilus.runtime.engine.internals.hints import normalize_table_identifier, table_variants


def resources_in_lists(source: DltSource) -> dict[str, DltResource]:
    """Return the resources whose rows may be taken in lists, by name.

    Where two resources share a table, dlt takes a row of each in turn, and the order in which their columns come
    depends on it.
    """
    selected = list(source.selected_resources.values())
    tables = [_tables(resource, source) for resource in selected]
    if len(selected) > 1 and None in tables:
        return {}
    known = Counter(name for names in tables for name in names or ())
    return {
        resource.name: resource
        for resource, names in zip(selected, tables, strict=True)
        if len(selected) == 1 or all(known[name] == 1 for name in names or ())
    }


def _tables(resource: DltResource, source: DltSource) -> set[str] | None:
    """Return the tables a resource is known to write to; None if each row says to which."""
    if not isinstance(resource.table_name, str):
        return None
    normalize = partial(normalize_table_identifier, source.schema, source.schema.naming)
    return {normalize(name) for name in (resource.table_name, *table_variants(resource))}
