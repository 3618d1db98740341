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
    "abfs": "files.sink:FilesystemSink",
    "abfss": "files.sink:FilesystemSink",
    "athena": "warehouses.athena:AthenaSink",
    "az": "files.sink:FilesystemSink",
    "bigquery": "warehouses.bigquery:BigQuerySink",
    "clickhouse": "warehouses.clickhouse:ClickHouseSink",
    "databricks": "warehouses.databricks:DatabricksSink",
    "duckdb": "databases.duckdb:DuckDBSink",
    "file": "files.sink:FilesystemSink",
    "gcs": "files.sink:FilesystemSink",
    "gs": "files.sink:FilesystemSink",
    "iceberg": "lakehouse.sink:LakehouseSink",
    "mariadb": "databases.mysql:MySQLSink",
    "md": "warehouses.motherduck:MotherDuckSink",
    "motherduck": "warehouses.motherduck:MotherDuckSink",
    "mssql": "warehouses.mssql:SQLServerSink",
    "mysql": "databases.mysql:MySQLSink",
    "postgres": "databases.postgres:PostgresSink",
    "postgresql": "databases.postgres:PostgresSink",
    "redshift": "warehouses.redshift:RedshiftSink",
    "s3": "files.sink:FilesystemSink",
    "snowflake": "warehouses.snowflake:SnowflakeSink",
    "sqlite": "databases.sqlite:SQLiteSink",
    "synapse": "warehouses.mssql:SynapseSink",
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
