"""MotherDuck: DuckDB as a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nilus.runtime.sinks.base import ATOMIC
from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink


class MotherDuckSink(WarehouseSink):
    """`motherduck://database?token=…`; also `md://`.

    No journal is kept: an account's databases are all attached at once, and nobody has tried what that does to it.
    """

    name: ClassVar[str] = "motherduck"
    best_file_format: ClassVar[str | None] = "parquet"
    supports: ClassVar[frozenset[str]] = frozenset()
    drivers: ClassVar[Mapping[str, str]] = {"duckdb": "duckdb"}
    example: ClassVar[str] = "motherduck://database?token=…"
    parts: ClassVar[Mapping[str, str]] = {"host": "database", "database": "database"}
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "token": Parameter("password"),
        "motherduck_token": Parameter("password"),
    }
    needed: ClassVar[tuple[str, ...]] = ("database", "password")
    options: ClassVar[Mapping[str, Any]] = ATOMIC
    refusals: ClassVar[tuple[str, ...]] = ("invalid motherduck token", "unauthenticated", "jwt is expired")
