"""What a table of a sink is called outside of it: the URI of its asset, and its name in lineage.

The forms are those of Airflow's own providers (https://airflow.apache.org/docs, *asset URIs* of each provider) and of
OpenLineage's naming (https://openlineage.io/docs/spec/naming). Where neither has one, the sink's address is
followed by schema and table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit


class _Server(NamedTuple):
    """How a database with a server is named: its scheme, its usual port, and whether schemas lie in a database."""

    scheme: str
    port: int | None
    has_database: bool = True


_SERVERS = {
    "postgresql": _Server("postgres", 5432),
    "postgres": _Server("postgres", 5432),
    "mysql": _Server("mysql", 3306, has_database=False),
    "mariadb": _Server("mysql", 3306, has_database=False),
    "mssql": _Server("mssql", 1433),
    "synapse": _Server("mssql", 1433),
    "redshift": _Server("redshift", 5439),
    "snowflake": _Server("snowflake", None),
    "databricks": _Server("databricks", 443),
    "clickhouse": _Server("clickhouse", 9440, has_database=False),
}
_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "abfss", "abfss": "abfss"}


@dataclass(frozen=True)
class TableName:
    """The names of one table.

    Attributes:
        uri: of its asset.
        namespace, name: of its dataset in lineage.
    """

    uri: str
    namespace: str
    name: str


def table_name(address: str, dataset: str, table: str) -> TableName:
    """Return what a table is called.

    Args:
        address: the sink's; user, password and query have no part in the names.
        dataset: the schema.
        table: as the sink has it.
    """
    scheme = address.partition("://")[0].partition("+")[0].lower()
    parts = urlsplit(f"//{address.partition('://')[2]}")
    path = unquote(parts.path).strip("/")
    if scheme in _SERVERS:
        return _in_server(_SERVERS[scheme], parts.hostname or "localhost", parts.port, path, (dataset, table))
    if scheme in _STORES:
        namespace = f"{_STORES[scheme]}://{parts.netloc}"
        return _below(namespace, "/".join(filter(None, (path, dataset, table))))
    if scheme == "file":
        location = "/".join(filter(None, (path, dataset, table)))
        return TableName(f"file:///{quote(location)}", "file", f"/{location}")
    if scheme == "bigquery":
        project = parts.hostname or path
        return TableName(f"bigquery://{project}/{dataset}/{table}", "bigquery", f"{project}.{dataset}.{table}")
    authority = parts.netloc.rpartition("@")[2]
    namespace = f"{scheme}://{authority}{'/' + quote(path) if path else ''}"
    return TableName(f"{namespace}/{quote(dataset)}/{quote(table)}", namespace, f"{dataset}.{table}")


def _in_server(server: _Server, host: str, port: int | None, path: str, table: tuple[str, str]) -> TableName:
    number = port or server.port
    namespace = f"{server.scheme}://{host}{f':{number}' if number else ''}"
    database = path.partition("/")[0]
    names = [database, *table] if server.has_database and database else list(table)
    return TableName(f"{namespace}/{'/'.join(map(quote, names))}", namespace, ".".join(names))


def _below(namespace: str, path: str) -> TableName:
    return TableName(f"{namespace}/{quote(path)}", namespace, path)
