"""What a schema knows and does not say: how dlt's own tables begin."""

from __future__ import annotations

from dlt.common.schema import Schema


def internal_prefix(schema: Schema) -> str:
    """Return what the names of dlt's own tables begin with, as the schema's naming convention has it."""
    prefix: str = schema._dlt_tables_prefix
    return prefix
