"""Connections to databases."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from airflow_provider_nilus.connections.profile import Fields, Profile

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


def server_address(
    fields: Fields, scheme: str, *, port: int | None = None, query: Sequence[tuple[str, str | None]] = ()
) -> str:
    """Return `scheme://login:password@host:port/schema?query`, everything quoted; parts that are empty are left out.

    Args:
        fields: the connection's.
        scheme: the sink's.
        port: used where the connection names none.
        query: parameters; those without a value are left out.
    """
    login, password = fields.text("login"), fields.text("password")
    user = "" if login is None else quote(login, safe="") + (f":{quote(password, safe='')}" if password else "") + "@"
    number = fields.get("port") or port
    parameters = urlencode([(name, value) for name, value in query if value is not None], quote_via=quote)
    return (
        f"{scheme}://{user}{fields.text('host') or ''}{f':{number}' if number else ''}"
        f"/{quote(fields.text('schema') or '', safe='')}{f'?{parameters}' if parameters else ''}"
    )


def _postgres(fields: Fields, _path: str) -> str:
    query = [(name, fields.text(f"extra.{name}")) for name in _POSTGRES_QUERY]
    return server_address(fields, "postgresql", port=5432, query=query)


def _redshift(fields: Fields, _path: str) -> str:
    query = [(name, fields.text(f"extra.{name}")) for name in ("sslmode", "connect_timeout", "application_name")]
    return server_address(fields, "redshift", port=5439, query=query)


def _mysql(fields: Fields, _path: str) -> str:
    tls = fields.mapping("extra.ssl")
    query = [("charset", fields.text("extra.charset")), ("unix_socket", fields.text("extra.unix_socket"))]
    query += [(f"ssl_{name}", str(tls[name]) if tls.get(name) else None) for name in ("ca", "cert", "key")]
    return server_address(fields, "mysql", port=3306, query=query)


def _mssql(fields: Fields, _path: str) -> str:
    query = [
        ("driver", fields.text("extra.driver", "extra.Driver")),
        ("encrypt", fields.text("extra.encrypt", "extra.Encrypt")),
        ("trustservercertificate", fields.text("extra.TrustServerCertificate", "extra.trustservercertificate")),
        ("connect_timeout", fields.text("extra.connect_timeout")),
    ]
    return server_address(fields, "mssql", port=1433, query=query)


def _clickhouse(fields: Fields, _path: str) -> str:
    query = [(name, fields.text(f"extra.{name}")) for name in ("http_port", "secure", "engine")]
    return server_address(fields, "clickhouse", query=query)


def _sqlite(fields: Fields, _path: str) -> str:
    """The connection's host is the file, or an address of one, as for Airflow's own hook."""
    host = fields.text("host") or ""
    return host if host.startswith("sqlite:") else f"sqlite:///{quote(host)}"


def duckdb_address(fields: Fields, _path: str) -> str:
    """Return the address of the file, which is the connection's host: the convention of the `duckdb` type.

    A host that begins with `md:` is a database of MotherDuck, whose token is the password.
    """
    fields.require("host|extra.path|schema")
    path = fields.text("host", "extra.path", "schema") or ""
    if path.startswith("md:"):
        return f"motherduck://{path.removeprefix('md:').strip('/')}"
    return f"duckdb:///{path}"


def _token(fields: Fields) -> dict[str, str | None]:
    is_motherduck = (fields.text("host") or "").startswith("md:")
    return {"password": fields.text("password", "extra.token")} if is_motherduck else {}


PROFILES = (
    Profile(
        conn_type="postgres",
        system="PostgreSQL",
        address=_postgres,
        required=("host", "login", "password", "schema"),
    ),
    Profile(
        conn_type="mysql",
        system="MySQL, MariaDB",
        address=_mysql,
        required=("host", "login"),
    ),
    Profile(
        conn_type="sqlite",
        system="SQLite",
        address=_sqlite,
        required=("host",),
    ),
    Profile(
        conn_type="duckdb",
        system="DuckDB, MotherDuck",
        address=duckdb_address,
        more=_token,
    ),
    Profile(
        conn_type="mssql",
        system="SQL Server",
        address=_mssql,
        required=("host", "login", "password", "schema"),
    ),
    Profile(
        conn_type="redshift",
        system="Redshift",
        address=_redshift,
        required=("host", "login", "password", "schema"),
        refused={"extra.iam": "log in with user and password, temporary credentials of IAM are not fetched"},
    ),
    Profile(
        conn_type="clickhouse",
        system="ClickHouse",
        address=_clickhouse,
        required=("host", "login"),
    ),
)
