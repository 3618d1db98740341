"""Redshift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nilus.runtime.sinks.base import ATOMIC
from nilus.runtime.sinks.databases.postgres import PostgresSink
from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink, whole_number


class RedshiftSink(WarehouseSink):
    """`redshift://user:password@host:5439/database?sslmode=require`; a driver in the scheme is left out."""

    name: ClassVar[str] = "redshift"
    counts_name_bytes: ClassVar[bool] = True
    drivers: ClassVar[Mapping[str, str]] = {"psycopg2": "psycopg2"}
    example: ClassVar[str] = "redshift://user:password@host:5439/database"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "connect_timeout": Parameter("connect_timeout", read=whole_number),
        "sslmode": Parameter("sslmode"),
        "application_name": Parameter("application_name"),
        "iam_role": Parameter("staging_iam_role", is_option=True),
    }
    options: ClassVar[Mapping[str, Any]] = ATOMIC
    refusals: ClassVar[tuple[str, ...]] = PostgresSink.refusals

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:  # noqa: ARG002
        """Hand the parameters of the driver to it the way dlt does: as those of the connection string."""
        query = {name: credentials.pop(name) for name in ("sslmode", "application_name") if name in credentials}
        if query:
            credentials["query"] = query
