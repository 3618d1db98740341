"""Databricks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink, flag


class DatabricksSink(WarehouseSink):
    """`databricks://token:<access token>@host?http_path=…&catalog=…`, or `client_id` and `client_secret`."""

    name: ClassVar[str] = "databricks"
    drivers: ClassVar[Mapping[str, str]] = {"databricks.sql": "databricks-sql-connector"}
    example: ClassVar[str] = "databricks://token:<access token>@host?http_path=…&catalog=…"
    parts: ClassVar[Mapping[str, str]] = {"host": "server_hostname", "password": "access_token"}
    parameters: ClassVar[Mapping[str, Parameter]] = {
        **{name: Parameter(name) for name in ("http_path", "catalog", "client_id", "client_secret", "access_token")},
        "staging_volume_name": Parameter("staging_volume_name", is_option=True),
        "staging_credentials_name": Parameter("staging_credentials_name", is_option=True),
        "is_staging_external_location": Parameter("is_staging_external_location", is_option=True, read=flag),
    }
    ignored: ClassVar[frozenset[str]] = frozenset({"schema"})
    needed: ClassVar[tuple[str, ...]] = (
        "server_hostname",
        "http_path",
        "catalog",
        "access_token|client_id",
        "access_token|client_secret",
    )
    refusals: ClassVar[tuple[str, ...]] = ("invalid access token", "permission_denied", "insufficient permissions")

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:  # noqa: ARG002
        """Keep one of the two ways to log in: dlt would mix them."""
        if credentials.get("client_id") and credentials.get("client_secret"):
            credentials.pop("access_token", None)
