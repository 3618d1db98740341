"""ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink, flag, whole_number


class ClickHouseSink(WarehouseSink):
    """`clickhouse://user:password@host:9440/database?http_port=8443&secure=1&engine=merge_tree`."""

    name: ClassVar[str] = "clickhouse"
    drivers: ClassVar[Mapping[str, str]] = {
        "clickhouse_driver": "clickhouse-driver",
        "clickhouse_connect": "clickhouse-connect",
    }
    example: ClassVar[str] = "clickhouse://user:password@host:9440/database?http_port=8443"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "http_port": Parameter("http_port", read=whole_number),
        "secure": Parameter("secure", read=flag),
        "connect_timeout": Parameter("connect_timeout", read=whole_number),
        "send_receive_timeout": Parameter("send_receive_timeout", read=whole_number),
        "engine": Parameter("table_engine_type", is_option=True),
    }
    needed: ClassVar[tuple[str, ...]] = ("username", "password", "host")
    refusals: ClassVar[tuple[str, ...]] = ("authentication failed", "not enough privileges", "access_denied")

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:  # noqa: ARG002
        """Without TLS the ports are others; dlt wants a number for it."""
        secure = credentials.get("secure", True)
        credentials["secure"] = int(secure)
        credentials.setdefault("port", 9440 if secure else 9000)
        credentials.setdefault("http_port", 8443 if secure else 8123)
