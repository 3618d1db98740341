"""Connections that hold a sink's address: our own type, and `generic`."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from airflow_provider_nilus.connections.databases import duckdb_address
from airflow_provider_nilus.connections.profile import Fields, Profile
from nilus.errors import DestinationError
from nilus.values.schemes import SCHEMES, Kind

SINK_TYPE: Final = "nilus"

SINK_FIELDS: dict[str, Any] = {
    "address": {
        "label": "Address",
        "description": "Where rows go, for example duckdb:////data/lake.duckdb or postgresql://host:5432/database. "
        "No password here: user and password are filled in from the standard fields.",
        "schema": {
            "type": ["string", "null"],
            "examples": ["duckdb:////data/lake.duckdb", "postgresql://host:5432/database", "s3://bucket/folder"],
        },
    },
    # Airflow shows what is in an extra field unless its name says that it is secret.
    "secret_credentials": {
        "label": "Credentials",
        "description": "What else is needed to connect: a JSON object with dlt's own names, for example "
        '{"aws_access_key_id": "…", "aws_secret_access_key": "…", "endpoint_url": "…"}.',
        "schema": {"type": ["string", "null"], "format": "password"},
    },
}
SINK_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port", "host"],
    "relabeling": {"login": "User", "password": "Password"},
}

DEPOT_SCHEME: Final = "dataos"

_AZURE = tuple(name for name, scheme in SCHEMES.items() if scheme.extra == "az")
_STORES = tuple(name for name, scheme in SCHEMES.items() if scheme.kind is Kind.FILES)

# Where login and password are no part of the address: dlt's names for them.
_LOGIN_FIELDS = {
    "s3": ("aws_access_key_id", "aws_secret_access_key"),
    "athena": ("aws_access_key_id", "aws_secret_access_key"),
    **dict.fromkeys(_AZURE, ("azure_storage_account_name", "azure_storage_account_key")),
}
_WITHOUT_LOGIN = ("duckdb", "sqlite", "bigquery", "custom", "athena", *_STORES)


def _address(fields: Fields, path: str) -> str:
    """The extra field `address`, login and password filled in; the workflow may name a folder below it."""
    address = fields.text("extra.address")
    if not address and fields.conn_type == "generic" and fields.get("host"):
        return duckdb_address(fields, path)
    if not address:
        raise DestinationError(
            f"Connection {fields.conn_id!r} has no address",
            expected='an address in the extra field "address", for example duckdb:////data/lake.duckdb',
            found="nothing",
            remedy="fill in the field",
        )
    scheme, separator, rest = address.partition("://")
    if scheme.lower() == DEPOT_SCHEME:
        raise DestinationError(
            f"Connection {fields.conn_id!r} points to another connection",
            expected="the address of a database or a file",
            found=f"{scheme}://",
            remedy="write the final address into the connection",
        )
    if path:
        rest = _below(fields, scheme, rest, path)
    login, password = fields.text("login"), fields.text("password")
    authority = rest.partition("/")[0]
    if login and authority and "@" not in authority and scheme.lower() not in _WITHOUT_LOGIN:
        secret = f":{quote(password, safe='')}" if password else ""
        rest = f"{quote(login, safe='')}{secret}@{rest}"
    return f"{scheme}{separator}{rest}"


def _below(fields: Fields, scheme: str, rest: str, path: str) -> str:
    if scheme.lower() not in _STORES:
        raise DestinationError(
            f"Nothing may follow the id of connection {fields.conn_id!r}",
            expected=f"dataos://{fields.conn_id}, as its address is no store of files",
            found=f"/{path} behind it",
            remedy="take it out of sink.address; the schema belongs into dest-table",
        )
    place, mark, query = rest.partition("?")
    return f"{place.rstrip('/')}/{quote(path)}{mark}{query}"


def _credentials(fields: Fields) -> dict[str, Any]:
    scheme = (fields.text("extra.address") or "").partition("://")[0].lower()
    login, password = _LOGIN_FIELDS.get(scheme, ("", ""))
    filled = {login: fields.text("login"), password: fields.text("password")} if login else {}
    return {**filled, **fields.mapping("extra.secret_credentials", "extra.credentials")}


PROFILES = tuple(
    Profile(
        conn_type=conn_type,
        system="any sink, by its address",
        address=_address,
        more=_credentials,
        takes_path=True,
    )
    for conn_type in ("generic", SINK_TYPE)
)
