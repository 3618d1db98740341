"""Sinks: an address becomes a dlt destination, its journal and what it can do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from nilus.errors import DestinationError
from nilus.protocol.job import SinkSpec
from nilus.runtime.sinks.base import Sink

if TYPE_CHECKING:
    from nilus.runtime.source.class_finder import Found

# Scheme of an address to module and class; a driver behind a plus sign in the scheme does not matter.
_SINKS: dict[str, str] = {
    "abfs": "filesystem:FilesystemSink",
    "abfss": "filesystem:FilesystemSink",
    "athena": "athena:AthenaSink",
    "az": "filesystem:FilesystemSink",
    "bigquery": "bigquery:BigQuerySink",
    "clickhouse": "clickhouse:ClickHouseSink",
    "databricks": "databricks:DatabricksSink",
    "duckdb": "duckdb:DuckDBSink",
    "file": "filesystem:FilesystemSink",
    "gcs": "filesystem:FilesystemSink",
    "gs": "filesystem:FilesystemSink",
    "iceberg": "lakehouse:LakehouseSink",
    "mariadb": "mysql:MySQLSink",
    "md": "motherduck:MotherDuckSink",
    "motherduck": "motherduck:MotherDuckSink",
    "mssql": "mssql:SQLServerSink",
    "mysql": "mysql:MySQLSink",
    "postgres": "postgres:PostgresSink",
    "postgresql": "postgres:PostgresSink",
    "redshift": "redshift:RedshiftSink",
    "s3": "filesystem:FilesystemSink",
    "snowflake": "snowflake:SnowflakeSink",
    "sqlite": "sqlite:SQLiteSink",
    "synapse": "mssql:SynapseSink",
}


def sink(spec: SinkSpec, *, find: Callable[[str], Found] | None = None) -> Sink:
    """Return the sink of an address.

    Args:
        spec: the validated `sink` block.
        find: finds the class that an address names; None where there is no repository.

    Raises:
        DestinationError: no sink knows the address's scheme.
    """
    scheme = spec.address.partition("://")[0].partition("+")[0].lower()
    if scheme == "custom":
        from nilus.runtime.sinks.custom import CustomSink

        return CustomSink(spec, find)
    known = _SINKS.get(scheme)
    if known is None:
        raise DestinationError(
            f"No sink knows the address {spec.display_address}",
            expected=f"an address that begins with one of {', '.join(f'{name}://' for name in sorted(_SINKS))}",
            found=f"{scheme}://" if "://" in spec.address else "an address without ://",
            remedy="correct sink.address; dataos://<connection id> takes the address from an Airflow connection",
        )
    module, _, name = known.partition(":")
    made: Sink = getattr(importlib.import_module(f"{__name__}.{module}"), name)(spec)
    return made
