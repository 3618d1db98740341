"""Snowflake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nilus.errors import DestinationError
from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink, whole_number


class SnowflakeSink(WarehouseSink):
    """`snowflake://user:password@account/database?warehouse=…&role=…`, or with a private key in place of a password."""

    name: ClassVar[str] = "snowflake"
    best_file_format: ClassVar[str | None] = "parquet"
    drivers: ClassVar[Mapping[str, str]] = {"snowflake.connector": "snowflake-connector-python"}
    example: ClassVar[str] = "snowflake://user:password@account/database?warehouse=…&role=…"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        **{
            name: Parameter(name)
            for name in (
                "warehouse",
                "role",
                "authenticator",
                "token",
                "private_key",
                "private_key_path",
                "private_key_passphrase",
            )
        },
        "port": Parameter("port", read=whole_number),
        "stage_name": Parameter("stage_name", is_option=True),
        "query_tag": Parameter("query_tag", is_option=True),
    }
    needed: ClassVar[tuple[str, ...]] = (
        "username|token",
        "password|private_key|private_key_path|token|authenticator",
        "host",
        "database",
    )
    refusals: ClassVar[tuple[str, ...]] = (
        "incorrect username or password",
        "does not exist or not authorized",
        "insufficient privileges",
        "jwt token is invalid",
    )

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:  # noqa: ARG002
        """Refuse a schema behind the database: dlt would take both for the database's name."""
        if "/" in str(credentials.get("database", "")):
            raise DestinationError(
                "The snowflake address has something behind the database",
                expected=self.example,
                found="a schema",
                remedy="take it out of the address: the schema is dest-table",
            )
