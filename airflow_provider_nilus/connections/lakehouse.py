"""The connection type `nilus_lakehouse`: a warehouse of Apache Iceberg tables and its catalog."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from airflow_provider_nilus.connections.profile import Fields, Profile
from nilus.errors import DestinationError

LAKEHOUSE_TYPE: Final = "nilus_lakehouse"
KINDS: Final = ("rest", "sql", "glue")

_TEXT: Final = {"type": ["string", "null"]}
_SECRET: Final = {"type": ["string", "null"], "format": "password"}

LAKEHOUSE_FIELDS: dict[str, Any] = {
    "warehouse": {
        "label": "Warehouse",
        "description": "Where the tables are: s3://bucket/folder, abfss://…, gs://… or a local folder; for a REST "
        "catalog also the name it has for a warehouse.",
        "schema": {**_TEXT, "examples": ["/data/lake", "s3://bucket/folder", "gs://bucket/folder"]},
    },
    "catalog": {
        "label": "Catalog kind",
        "description": "Nothing: rest if the URI begins with http, else sql. A local folder gets a SQLite catalog.",
        "schema": {"type": ["string", "null"], "enum": list(KINDS)},
    },
    "catalog_uri": {
        "label": "Catalog URI",
        "description": "https://… of a REST catalog, or the database of a sql one: postgresql+psycopg2://host:5432/db. "
        "User and password are filled in from the standard fields.",
        "schema": {
            **_TEXT,
            "examples": ["https://catalog.example.com", "postgresql+psycopg2://host:5432/database"],
        },
    },
    "catalog_name": {
        "label": "Catalog name",
        "description": "The name a sql catalog keeps its tables under; nilus if nothing is said.",
        "schema": _TEXT,
    },
    "scope": {"label": "OAuth2 scope", "description": "For client credentials of a REST catalog.", "schema": _TEXT},
    "oauth2_server_uri": {
        "label": "OAuth2 server",
        "description": "Where client credentials become a token, if not at the REST catalog itself.",
        "schema": _TEXT,
    },
    "access_key_id": {
        "label": "Access key ID",
        "description": "Of the object store, and of Glue; the account's name in Azure. Nothing: what the worker has.",
        "schema": _TEXT,
    },
    "secret_access_key": {
        "label": "Secret access key",
        "description": "The account's key in Azure.",
        "schema": _SECRET,
    },
    "session_token": {"label": "Session token", "schema": _SECRET},
    "region": {"label": "Region", "schema": _TEXT},
    "endpoint": {
        "label": "Object store endpoint",
        "description": "For an S3 that is not Amazon's: http://minio:9000.",
        "schema": _TEXT,
    },
    # Airflow shows what is in an extra field unless its name says that it is secret.
    "secret_properties": {
        "label": "More properties",
        "description": "A JSON object with pyiceberg's own names, for what has no field here.",
        "schema": _SECRET,
    },
}
LAKEHOUSE_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port", "host"],
    "relabeling": {"login": "Client ID or catalog user", "password": "Client secret, token or catalog password"},
}

_AMAZON: Final = ("s3", "s3a", "s3n")
_AZURE: Final = ("abfs", "abfss", "wasb", "wasbs")


def _kind(fields: Fields) -> str:
    kind = (fields.text("extra.catalog") or "").lower()
    if not kind:
        kind = "rest" if (fields.text("extra.catalog_uri") or "").startswith("http") else "sql"
    if kind not in KINDS:
        raise fields.wrong("extra.catalog", expected=f"one of {', '.join(KINDS)}")
    return kind


def _address(fields: Fields, _path: str) -> str:
    """Return an address for people: which catalog it is; what is needed to connect is in the credentials."""
    kind, warehouse = _kind(fields), fields.text("extra.warehouse") or ""
    uri = fields.text("extra.catalog_uri")
    if kind == "sql" and uri is None:
        return f"iceberg://{_local_folder(fields, warehouse)}"
    if kind == "glue":
        return f"iceberg+glue://{fields.text('extra.region') or 'default'}/{warehouse.partition('://')[2]}"
    if uri is None:
        raise _incomplete(fields, "the extra catalog_uri")
    parts = urlsplit(uri)
    return f"iceberg+{kind}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _local_folder(fields: Fields, warehouse: str) -> str:
    folder = warehouse.removeprefix("file://")
    if not folder.startswith("/"):
        raise _incomplete(fields, "the extra catalog_uri" if warehouse else "the extra warehouse")
    return folder.rstrip("/")


def _credentials(fields: Fields) -> dict[str, Any]:
    kind, warehouse = _kind(fields), fields.text("extra.warehouse") or ""
    if kind != "rest" and not warehouse:
        raise _incomplete(fields, "the extra warehouse")
    return {
        "type": kind,
        "warehouse": warehouse or None,
        "name": fields.text("extra.catalog_name"),
        **_catalog(fields, kind),
        **_store(fields, warehouse.partition("://")[0]),
        **fields.mapping("extra.secret_properties", "extra.properties"),
    }


def _catalog(fields: Fields, kind: str) -> dict[str, str | None]:
    """Return what the catalog needs; user and password that are in the URI are taken out of it."""
    uri = fields.text("extra.catalog_uri")
    if kind == "glue":
        return {"glue.endpoint": uri}
    login, password = fields.text("login"), fields.text("password")
    if uri is not None and "@" in urlsplit(uri).netloc:
        parts = urlsplit(uri)
        user_info, _, host = parts.netloc.rpartition("@")
        user, _, secret = user_info.partition(":")
        login, password = login or unquote(user), password or unquote(secret)
        uri = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    more = {"scope": fields.text("extra.scope"), "oauth2-server-uri": fields.text("extra.oauth2_server_uri")}
    return {"uri": uri, "login": login, "password": password, **(more if kind == "rest" else {})}


def _store(fields: Fields, scheme: str) -> dict[str, str | None]:
    key, secret = fields.text("extra.access_key_id"), fields.text("extra.secret_access_key")
    if scheme.lower() in _AZURE:
        return {
            "adls.account-name": key,
            "adls.account-key": secret,
            "adls.sas-token": fields.text("extra.session_token"),
        }
    # By these names both the object store and Glue find them.
    return {
        "client.access-key-id": key,
        "client.secret-access-key": secret,
        "client.session-token": fields.text("extra.session_token"),
        "client.region": fields.text("extra.region"),
        "s3.endpoint": fields.text("extra.endpoint"),
    }


def _incomplete(fields: Fields, missing: str) -> DestinationError:
    return DestinationError(
        f"Connection {fields.conn_id!r} is not complete",
        expected="a warehouse in a local folder; or a catalog with its URI, and the warehouse's location",
        found=f"nothing of use in {missing}",
        remedy="fill in the field of the connection",
    )


def namespaces(address: str, credentials: dict[str, Any]) -> list[str]:
    """Return the namespaces of a lakehouse's catalog: the test of a connection.

    Args:
        address: of the sink.
        credentials: its credentials.

    Raises:
        DestinationError: pyiceberg is not installed, or the folder of a local warehouse cannot be written.
        Exception: whatever the catalog says.
    """
    from nilus.runtime.sinks.lakehouse.catalog import open_catalog, properties

    known = properties(address, credentials)
    file = Path(known.get("uri", "").partition("?")[0].removeprefix("sqlite:///"))
    if known.get("uri", "").startswith("sqlite:///") and not file.exists():
        _check_writable(file.parent)  # made by the first run, not by looking
        return []
    catalog = open_catalog(known)
    return sorted(".".join(namespace) for namespace in catalog.list_namespaces())


def _check_writable(folder: Path) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(existing, os.W_OK):
        raise DestinationError(
            "The warehouse's folder cannot be written",
            expected="a folder this machine may write to",
            found=str(existing),
            remedy="correct the warehouse's location or the folder's rights",
        )


PROFILES = (
    Profile(
        conn_type=LAKEHOUSE_TYPE,
        system="Lakehouse: Apache Iceberg",
        address=_address,
        more=_credentials,
    ),
)
