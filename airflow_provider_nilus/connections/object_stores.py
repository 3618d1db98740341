"""Connections to object stores."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_nilus.connections.profile import Fields, Profile
from nilus.errors import DestinationError

_AZURE_BLOBS = ".blob.core.windows.net"


def bucket_address(fields: Fields, scheme: str, path: str, *names: str) -> str:
    """Return `scheme://bucket/prefix`.

    Args:
        fields: the connection's.
        scheme: the store's.
        path: what the workflow says behind the connection's id: a prefix in the connection's bucket, or, where that
            names none, the bucket and a prefix.
        names: the fields that may name the bucket.

    Raises:
        DestinationError: neither names a bucket.
    """
    bucket = fields.text(*names)
    whole = "/".join(part.strip("/") for part in (bucket or "", path) if part.strip("/"))
    if not whole:
        raise DestinationError(
            f"Connection {fields.conn_id!r} names no bucket",
            expected=f"the extra {names[0].removeprefix('extra.')}, or dataos://{fields.conn_id}/<bucket>/<folder>",
            found="neither",
            remedy="name the bucket in the connection's extra or in sink.address",
        )
    return f"{scheme}://{quote(whole)}"


def _s3(fields: Fields, path: str) -> str:
    names = ("extra.bucket", "extra.bucket_name", "extra.service_config.s3.bucket_name")
    return bucket_address(fields, "s3", path, *names)


AWS_CREDENTIALS = {
    "aws_access_key_id": "login|extra.aws_access_key_id",
    "aws_secret_access_key": "password|extra.aws_secret_access_key",
    "aws_session_token": "extra.aws_session_token",
    "profile_name": "extra.profile_name",
    "region_name": "extra.region_name",
    "endpoint_url": "extra.service_config.s3.endpoint_url|extra.endpoint_url|extra.host",
}
AWS_REFUSED = {
    "extra.role_arn": "roles are not assumed; give the worker the role, or a profile that assumes it (profile_name)"
}


def _azure(fields: Fields, path: str) -> str:
    return bucket_address(fields, "az", path, "extra.container", "extra.container_name", "extra.bucket")


def _azure_credentials(fields: Fields) -> dict[str, Any]:
    """Return the storage account and one way to log in to it.

    A connection string wins; with a tenant, login and password are a service principal; else login is the account
    and password its key.
    """
    text = fields.text("extra.connection_string")
    if text:
        return _connection_string(fields, text)
    host = fields.text("host") or ""
    netloc = urlsplit(host).netloc if "://" in host else host.strip("/")
    principal = fields.text("extra.tenant_id")
    named = fields.text("extra.account_name")
    account = named or (None if principal else fields.text("login")) or netloc.partition(".")[0]
    if not account:
        fields.require("host" if principal else "login|host")
    credentials: dict[str, Any] = {"azure_storage_account_name": account}
    if netloc and "." in netloc and not netloc.endswith(_AZURE_BLOBS):
        credentials["azure_account_host"] = netloc
    if principal:
        fields.require("login", "password")
        secret = {"azure_client_id": fields.text("login"), "azure_client_secret": fields.text("password")}
        return {**credentials, "azure_tenant_id": principal, **secret}
    token = fields.text("extra.sas_token")
    if token:
        token = urlsplit(token).query if "://" in token else token.removeprefix("?")
        return {**credentials, "azure_storage_sas_token": token}
    return {**credentials, "azure_storage_account_key": fields.text("password", "extra.shared_access_key")}


def _connection_string(fields: Fields, text: str) -> dict[str, Any]:
    parts = dict(part.partition("=")[::2] for part in text.split(";") if part.strip())
    if not parts.get("AccountName"):
        raise fields.wrong("extra.connection_string", expected="AccountName=…;AccountKey=… or SharedAccessSignature=…")
    netloc = urlsplit(parts.get("BlobEndpoint", "")).netloc
    return {
        "azure_storage_account_name": parts["AccountName"],
        "azure_storage_account_key": parts.get("AccountKey"),
        "azure_storage_sas_token": parts.get("SharedAccessSignature"),
        "azure_account_host": netloc if netloc and not netloc.endswith(_AZURE_BLOBS) else None,
    }


PROFILES = (
    Profile(
        conn_type="aws",
        system="S3 and stores that speak its protocol",
        address=_s3,
        credentials=AWS_CREDENTIALS,
        refused=AWS_REFUSED,
        takes_path=True,
    ),
    *(
        Profile(
            conn_type=conn_type,
            system="Azure Blob Storage, Data Lake Storage",
            address=_azure,
            more=_azure_credentials,
            takes_path=True,
        )
        for conn_type in ("wasb", "adls")
    ),
)
