"""An Airflow connection becomes a sink's address."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from nilus.errors import DestinationError

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEPOT_SCHEME = "dataos"
CONNECTION_TYPE = "nilus"

# Fields of our own connection type, in the form that Airflow 3.2+ shows without importing a hook.
CONNECTION_FIELDS: dict[str, Any] = {
    "address": {
        "label": "Address",
        "description": "Where rows go, for example duckdb:////data/lake.duckdb or postgresql://host:5432/database. "
        "Login and password are filled in from the fields above.",
        "schema": {"type": ["string", "null"]},
    },
}
CONNECTION_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port", "host"],
    "relabeling": {"login": "User", "password": "Password"},
    "placeholders": {"address": "duckdb:////data/lake.duckdb"},
}

_POSTGRES_QUERY = (
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "connect_timeout",
    "application_name",
    "options",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "target_session_attrs",
)


@dataclass(frozen=True)
class ResolvedSink:
    """A sink's address with everything in it that is needed to connect.

    Attributes:
        address: may hold a password.
        display_address: fit for logs.
        secrets: the texts in `address` that must never be shown.
    """

    address: str
    display_address: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


def resolve_sink(address: str, *, home: Path, get_connection: Callable[[str], Connection]) -> ResolvedSink:
    """Resolve `dataos://<connection id>` and make file addresses absolute.

    Args:
        address: the workflow's `sink.address`, its `{ENV}` already filled in.
        home: folder that relative DuckDB paths are relative to.
        get_connection: returns the Airflow connection of an id.

    Raises:
        DestinationError: the connection is of a type we cannot load into, or lacks something.
    """
    from nilus.redaction import redact_address

    scheme, _, rest = address.partition("://")
    if scheme.lower() == DEPOT_SCHEME:
        conn_id = unquote(rest.partition("?")[0].strip("/"))
        if not conn_id:
            raise DestinationError(
                "The sink address names no connection",
                expected="dataos://<id of an Airflow connection>",
                found=address,
                remedy="name the connection",
            )
        address = _connection_address(get_connection(conn_id))
    address = _absolute(address, home)
    return ResolvedSink(address, redact_address(address), _secrets(address))


def reach(sink: ResolvedSink) -> None:
    """Reach a sink without writing to it: log in to a server, look whether a file can be written.

    Raises:
        DestinationError: that did not work.
    """
    if sink.address.startswith("duckdb:"):
        path = Path(unquote(sink.address.partition("?")[0].removeprefix("duckdb:///")))
        folder = next(folder for folder in (path.parent, *path.parents) if folder.exists())
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise _unreachable(sink, f"{path} cannot be written")
        return
    try:
        import psycopg2
    except ImportError:
        raise _unreachable(sink, "no psycopg2: install airflow-provider-nilus[postgres]") from None
    try:
        psycopg2.connect("postgresql://" + sink.address.partition("://")[2], connect_timeout=10).close()
    except psycopg2.Error as error:
        text = str(error).strip()
        for secret in sink.secrets:
            text = text.replace(secret, "***")
        raise _unreachable(sink, text) from None


def _unreachable(sink: ResolvedSink, found: str) -> DestinationError:
    return DestinationError(
        f"The sink {sink.display_address} cannot be reached",
        expected="a sink this machine may write to",
        found=found,
        remedy="correct the connection, or the rights and the network of this machine",
    )


def _connection_address(connection: Connection) -> str:
    kind = (connection.conn_type or "").lower()
    make = _ADDRESSES.get(kind)
    if make is None:
        raise DestinationError(
            f"Connection {connection.conn_id!r} is of type {kind or 'none'!r}, which is no sink here",
            expected=f"a connection of type {', '.join(sorted(_ADDRESSES))}",
            found=kind or "no type",
            remedy="choose another connection, or write the address into the workflow's sink.address",
        )
    return make(connection)


def _postgres(connection: Connection) -> str:
    missing = [name for name in ("host", "login", "password", "schema") if not getattr(connection, name)]
    if missing:
        raise DestinationError(
            f"Connection {connection.conn_id!r} is not complete",
            expected="host, login, password and schema (the database's name)",
            found=f"nothing in {', '.join(missing)}",
            remedy="fill in the missing fields of the connection",
        )
    extra = _extra(connection)
    query = {name: str(extra[name]) for name in _POSTGRES_QUERY if extra.get(name) not in (None, "")}
    return (
        f"postgresql://{quote(connection.login or '', safe='')}:{quote(connection.password or '', safe='')}"
        f"@{connection.host}:{connection.port or 5432}/{quote(connection.schema or '', safe='')}"
        f"{'?' + urlencode(query) if query else ''}"
    )


def _duckdb(connection: Connection) -> str:
    """The connection's host is the file: the convention of the `duckdb` connection type."""
    path = connection.host or _extra(connection).get("path") or connection.schema
    if not path:
        raise DestinationError(
            f"Connection {connection.conn_id!r} names no file",
            expected="the path of the DuckDB file in the connection's host",
            found="nothing",
            remedy="fill in the connection's host",
        )
    return f"duckdb:///{path}"


def _own_address(connection: Connection) -> str:
    """Our own type, and `generic`: the address in the extra field `address`, user and password filled in."""
    address = _extra(connection).get("address")
    if not address:
        if (connection.conn_type or "").lower() == "generic" and connection.host:
            return _duckdb(connection)
        raise DestinationError(
            f"Connection {connection.conn_id!r} has no address",
            expected='an address in the extra field "address", for example duckdb:////data/lake.duckdb',
            found="nothing",
            remedy="fill in the field",
        )
    scheme, separator, rest = str(address).partition("://")
    if scheme.lower() == DEPOT_SCHEME:
        raise DestinationError(
            f"Connection {connection.conn_id!r} points to another connection",
            expected="the address of a database or a file",
            found=f"{scheme}://",
            remedy="write the final address into the connection",
        )
    authority = rest.partition("/")[0]
    if connection.login and authority and "@" not in authority:
        password = f":{quote(connection.password, safe='')}" if connection.password else ""
        rest = f"{quote(connection.login, safe='')}{password}@{rest}"
    return f"{scheme}{separator}{rest}"


_ADDRESSES: Mapping[str, Callable[[Connection], str]] = {
    "postgres": _postgres,
    "duckdb": _duckdb,
    "generic": _own_address,
    CONNECTION_TYPE: _own_address,
}


def _extra(connection: Connection) -> dict[str, Any]:
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        raise DestinationError(
            f"The extra of connection {connection.conn_id!r} cannot be read",
            expected="JSON",
            found="text that is not JSON",
            remedy="correct the connection's extra",
        ) from None
    return extra if isinstance(extra, dict) else {}


def _absolute(address: str, home: Path) -> str:
    scheme, separator, rest = address.partition("://")
    if scheme.lower() != "duckdb" or not separator:
        return address
    path, mark, query = rest.removeprefix("/").partition("?")
    if not path or path == ":memory:" or Path(path).is_absolute():
        return address
    return f"duckdb:///{os.path.normpath(home / Path(path).expanduser())}{mark}{query}"


def _secrets(address: str) -> tuple[str, ...]:
    authority = address.partition("://")[2].partition("/")[0]
    user_info, at, _ = authority.rpartition("@")
    password = user_info.partition(":")[2]
    if not at or not password:
        return ()
    return tuple(dict.fromkeys((password, unquote(password))))
