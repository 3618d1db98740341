"""The schemes of sink addresses: for each, what serves it, what it needs and what its tables are called elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What a sink is."""

    DATABASE = "database"
    WAREHOUSE = "warehouse"
    FILES = "files"
    LAKEHOUSE = "lakehouse"


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One scheme of an address.

    Attributes:
        sink: module below `nilus.runtime.sinks` and class that serve it.
        kind: what it leads to.
        extra: of this package, which brings the driver; None if none is needed.
        driver: the module that must be importable; None if none is needed.
        asset: the scheme of its tables' assets and of their namespace in lineage.
        is_server: its tables are named by host and port.
        port: the usual one of a server; None where names have none.
        has_database: the schemas of a server lie in a database, which is part of a table's name.
        object_store: the name by which Airflow's object storage knows it; None if it is not one.
    """

    sink: str
    kind: Kind
    extra: str | None = None
    driver: str | None = None
    asset: str
    is_server: bool = False
    port: int | None = None
    has_database: bool = True
    object_store: str | None = None


def _server(
    sink: str, kind: Kind, asset: str, driver: str, port: int | None = None, *, has_database: bool = True
) -> Scheme:
    return Scheme(
        sink=sink,
        kind=kind,
        extra=asset,
        driver=driver,
        asset=asset,
        is_server=True,
        port=port,
        has_database=has_database,
    )


def _files(driver: str | None, extra: str | None, asset: str, object_store: str) -> Scheme:
    return Scheme(
        sink="files.sink:FilesystemSink",
        kind=Kind.FILES,
        extra=extra,
        driver=driver,
        asset=asset,
        object_store=object_store,
    )


def _motherduck(asset: str) -> Scheme:
    return Scheme(
        sink="warehouses.motherduck:MotherDuckSink",
        kind=Kind.WAREHOUSE,
        extra="motherduck",
        driver="duckdb",
        asset=asset,
    )


_D, _W = Kind.DATABASE, Kind.WAREHOUSE
_POSTGRES = _server("databases.postgres:PostgresSink", _D, "postgres", "psycopg2", 5432)
_MYSQL = _server("databases.mysql:MySQLSink", _D, "mysql", "pymysql", 3306, has_database=False)
_GS = _files("gcsfs", "gs", "gs", "gs")

SCHEMES: Final[Mapping[str, Scheme]] = {
    "abfs": _files("adlfs", "az", "abfss", "abfs"),
    "abfss": _files("adlfs", "az", "abfss", "abfss"),
    "athena": Scheme(sink="warehouses.athena:AthenaSink", kind=_W, extra="athena", driver="pyathena", asset="athena"),
    "az": _files("adlfs", "az", "az", "abfs"),
    "bigquery": Scheme(
        sink="warehouses.bigquery:BigQuerySink",
        kind=_W,
        extra="bigquery",
        driver="google.cloud.bigquery",
        asset="bigquery",
    ),
    "clickhouse": _server(
        "warehouses.clickhouse:ClickHouseSink", _W, "clickhouse", "clickhouse_driver", 9440, has_database=False
    ),
    "databricks": _server("warehouses.databricks:DatabricksSink", _W, "databricks", "databricks.sql", 443),
    "duckdb": Scheme(sink="databases.duckdb:DuckDBSink", kind=_D, asset="duckdb"),
    "file": _files(None, None, "file", "file"),
    "gcs": _GS,
    "gs": _GS,
    "iceberg": Scheme(
        sink="lakehouse.sink:LakehouseSink",
        kind=Kind.LAKEHOUSE,
        extra="lakehouse",
        driver="pyiceberg",
        asset="iceberg",
    ),
    "mariadb": _MYSQL,
    "md": _motherduck("md"),
    "motherduck": _motherduck("motherduck"),
    "mssql": _server("warehouses.mssql:SQLServerSink", _W, "mssql", "pyodbc", 1433),
    "mysql": _MYSQL,
    "postgres": _POSTGRES,
    "postgresql": _POSTGRES,
    "redshift": _server("warehouses.redshift:RedshiftSink", _W, "redshift", "psycopg2", 5439),
    "s3": _files("s3fs", "s3", "s3", "s3"),
    "snowflake": _server("warehouses.snowflake:SnowflakeSink", _W, "snowflake", "snowflake.connector"),
    "sqlite": Scheme(sink="databases.sqlite:SQLiteSink", kind=_D, extra="sqlite", driver="sqlalchemy", asset="sqlite"),
    "synapse": Scheme(
        sink="warehouses.mssql:SynapseSink",
        kind=_W,
        extra="synapse",
        driver="pyodbc",
        asset="mssql",
        is_server=True,
        port=1433,
    ),
}
"""By the name before `://`. A class of the repository (`custom`) and a connection (`dataos`) are not among them."""

TABLE_FORMAT_EXTRAS: Final[Mapping[str, str]] = {"delta": "delta"}
"""The extra for the parameter `table_format` of a folder of files."""


def scheme_name(address: str) -> str:
    """Return the scheme of an address in lower case, without a driver behind a plus sign."""
    return address.partition("://")[0].partition("+")[0].lower()


def is_local(scheme: str) -> bool:
    """Tell whether addresses of a scheme lead to a file or a folder of this machine."""
    known = SCHEMES.get(scheme)
    return known is not None and (known.asset == "file" or (known.kind is Kind.DATABASE and not known.is_server))


def scheme_of(address: str) -> Scheme | None:
    """Return the scheme of an address; None if no sink serves it."""
    return SCHEMES.get(scheme_name(address))
