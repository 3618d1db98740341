"""Connections to warehouses, and to Google Cloud, whose connections lead to BigQuery or to a bucket."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from airflow_provider_nilus.connections.object_stores import AWS_CREDENTIALS, AWS_REFUSED, bucket_address
from airflow_provider_nilus.connections.profile import Fields, Profile
from nilus.errors import DestinationError

_PEM = "-----BEGIN"
_KEYFILE_FIELDS = ("project_id", "private_key", "private_key_id", "client_email")


def _query(**parameters: str | None) -> str:
    given = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(given, quote_via=quote)}" if given else ""


def _snowflake(fields: Fields, _path: str) -> str:
    account, region = fields.text("extra.account") or "", fields.text("extra.region")
    account = f"{account}.{region}" if region and "." not in account else account
    return f"snowflake://{account}/{quote(fields.text('extra.database', 'schema') or '', safe='')}"


def _snowflake_login(fields: Fields) -> dict[str, Any]:
    """Return how to log in: with a private key, whose passphrase is then the password, else with the password."""
    credentials: dict[str, Any] = {"username": fields.text("login")}
    content, file = fields.text("extra.private_key_content"), fields.text("extra.private_key_file")
    if content or file:
        key = {"private_key": _pem(content)} if content else {"private_key_path": file}
        return {**credentials, **key, "private_key_passphrase": fields.text("password")}
    authenticator, token = fields.text("extra.authenticator"), fields.text("extra.token")
    if not token and authenticator != "externalbrowser":
        fields.require("password|extra.private_key_content|extra.private_key_file")
    return {**credentials, "password": fields.text("password"), "authenticator": authenticator, "token": token}


def _pem(content: str) -> str:
    """Return a key as dlt reads it: PEM, or base64 of DER; Airflow's field may also hold base64 of PEM."""
    if content.lstrip().startswith(_PEM):
        return content
    try:
        text = base64.b64decode(content, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return content
    return text if text.startswith(_PEM) else content


def _bigquery(fields: Fields, _path: str) -> str:
    project = _google_credentials(fields).get("project_id")
    if not project:
        fields.require("extra.project|extra.keyfile_dict|extra.key_path")
    return f"bigquery://{project}{_query(location=fields.text('extra.location'))}"


def _google_storage(fields: Fields, path: str) -> str:
    return bucket_address(fields, "gs", path, "extra.bucket", "extra.bucket_name")


def _google(fields: Fields, path: str) -> str:
    """A bucket where the workflow or the extra names one, else BigQuery."""
    if path or fields.get("extra.bucket", "extra.bucket_name"):
        return _google_storage(fields, path)
    return _bigquery(fields, path)


def _google_credentials(fields: Fields) -> dict[str, Any]:
    """Return the service account's key; without one dlt uses the machine's default credentials."""
    keyfile = fields.mapping("extra.keyfile_dict")
    path = fields.text("extra.key_path")
    if not keyfile and path:
        try:
            keyfile = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise DestinationError(
                f"The key file of connection {fields.conn_id!r} cannot be read: {type(error).__name__}",
                expected="the JSON file of a service account's key on this machine",
                found=path,
                remedy="correct key_path, or put the file's content into keyfile_dict",
            ) from None
    missing = [name for name in ("private_key", "client_email") if keyfile and not keyfile.get(name)]
    if missing:
        raise fields.wrong("extra.keyfile_dict", expected=f"a service account's key with {', '.join(missing)}")
    project = {"project_id": fields.text("extra.project") or keyfile.get("project_id")}
    return {**{name: keyfile.get(name) for name in _KEYFILE_FIELDS}, **project}


def _databricks(fields: Fields, _path: str) -> str:
    host = (fields.text("host") or "").removeprefix("https://").strip("/")
    http_path, catalog = fields.text("extra.http_path"), fields.text("extra.catalog")
    return f"databricks://{host}{_query(http_path=http_path, catalog=catalog)}"


def _databricks_login(fields: Fields) -> dict[str, Any]:
    """Return a token, or the client id and secret of a service principal."""
    if fields.flag("extra.service_principal_oauth") or fields.text("login") not in (None, "token"):
        fields.require("login", "password")
        return {"client_id": fields.text("login"), "client_secret": fields.text("password")}
    fields.require("password|extra.token")
    return {"access_token": fields.text("password", "extra.token")}


def _athena(fields: Fields, _path: str) -> str:
    bucket, group = fields.text("extra.s3_staging_dir"), fields.text("extra.work_group", "extra.workgroup")
    return f"athena://{_query(bucket=bucket, workgroup=group, catalog=fields.text('extra.catalog_name'))}"


_IMPERSONATION = {"extra.impersonation_chain": "service accounts are not impersonated"}

PROFILES = (
    Profile(
        conn_type="snowflake",
        system="Snowflake",
        address=_snowflake,
        required=("login", "extra.account", "extra.database|schema"),
        credentials={"warehouse": "extra.warehouse", "role": "extra.role"},
        more=_snowflake_login,
    ),
    Profile(
        conn_type="google_cloud_platform",
        system="BigQuery, or Google Cloud Storage where a bucket is named",
        address=_google,
        more=_google_credentials,
        refused=_IMPERSONATION,
        takes_path=True,
    ),
    Profile(
        conn_type="gcpbigquery",
        system="BigQuery",
        address=_bigquery,
        more=_google_credentials,
        refused=_IMPERSONATION,
    ),
    Profile(
        conn_type="google_cloud_storage",
        system="Google Cloud Storage",
        address=_google_storage,
        more=_google_credentials,
        refused=_IMPERSONATION,
        takes_path=True,
    ),
    Profile(
        conn_type="databricks",
        system="Databricks",
        address=_databricks,
        required=("host", "extra.http_path", "extra.catalog"),
        more=_databricks_login,
    ),
    Profile(
        conn_type="athena",
        system="Athena",
        address=_athena,
        required=("extra.s3_staging_dir",),
        credentials=AWS_CREDENTIALS,
        refused=AWS_REFUSED,
    ),
)
