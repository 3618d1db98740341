"""What a table of a sink is called outside of it: the URI of its asset, and its name in lineage.

The forms are those of Airflow's own providers (https://airflow.apache.org/docs, *asset URIs* of each provider) and of
OpenLineage's naming (https://openlineage.io/docs/spec/naming). Where neither has one, the sink's address is
followed by schema and table.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from nilus.values.schemes import Kind, Scheme, scheme_name, scheme_of


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
    scheme, known = scheme_name(address), scheme_of(address)
    parts = urlsplit(f"//{address.partition('://')[2]}")
    path = unquote(parts.path).strip("/")
    if known is not None and known.is_server:
        return _in_server(known, *_host(parts.netloc), path, (dataset, table))
    if scheme == "file":
        location = "/".join(filter(None, (path, dataset, table)))
        return TableName(f"file:///{quote(location)}", "file", f"/{location}")
    if known is not None and known.kind is Kind.FILES:
        namespace = f"{known.asset}://{parts.netloc}"
        return _below(namespace, "/".join(filter(None, (path, dataset, table))))
    if scheme == "bigquery":
        project = parts.hostname or path
        return TableName(f"bigquery://{project}/{dataset}/{table}", "bigquery", f"{project}.{dataset}.{table}")
    authority = parts.netloc.rpartition("@")[2]
    namespace = f"{scheme}://{authority}{'/' + quote(path) if path else ''}"
    return TableName(f"{namespace}/{quote(dataset)}/{quote(table)}", namespace, f"{dataset}.{table}")


def _host(netloc: str) -> tuple[str, int | None]:
    """Return host and port; none for a `{NAME}` in place of the port, since Airflow takes only numbers in a URI."""
    authority = netloc.rpartition("@")[2]
    if "{" not in authority:
        parts = urlsplit(f"//{authority}")
        return parts.hostname or "localhost", parts.port
    host, _, port = authority.partition(":")
    return host, int(port) if port.isdecimal() else None


def _in_server(server: Scheme, host: str, port: int | None, path: str, table: tuple[str, str]) -> TableName:
    number = port or server.port
    namespace = f"{server.asset}://{host}{f':{number}' if number else ''}"
    database = path.partition("/")[0]
    names = [database, *table] if server.has_database and database else list(table)
    return TableName(f"{namespace}/{'/'.join(map(quote, names))}", namespace, ".".join(names))


def _below(namespace: str, path: str) -> TableName:
    return TableName(f"{namespace}/{quote(path)}", namespace, path)
