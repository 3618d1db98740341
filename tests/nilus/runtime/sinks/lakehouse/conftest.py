"""A lakehouse on local disk, and runs into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lake_reader import LakeReader
from run_fixture import PRELOADED, Outcome, PipelineRunner

from nilus.protocol.job import Job, SinkSpec

PRELOADED += ["nilus.runtime.sinks.lakehouse.destination", "pyiceberg.catalog.sql", "pyiceberg.io.pyarrow"]

_SINK = (
    "strategy",
    "full_refresh",
    "loader_file_size",
    "loader_file_format",
    "table",
    "dataset",
    "partition_by",
    "cluster_by",
)


@dataclass
class Lakehouse:
    """A lakehouse and a task that loads into it.

    Attributes:
        address: of the sink.
        reader: how others read it.
        runner: runs sources.
        credentials: properties of the catalog.
    """

    address: str
    reader: LakeReader
    runner: PipelineRunner
    credentials: dict[str, Any] = field(default_factory=dict)

    def job(self, code: str, **options: Any) -> Job:
        """Return the job of a run of class `Shop`; options go where they belong by their names."""
        sink = {name: options.pop(name) for name in _SINK if name in options}
        spec = SinkSpec(
            address=self.address,
            display_address="the lakehouse",
            credentials=self.credentials,
            **{"dataset": "raw", **sink},
        )
        return self.runner.job(code, spec, **options)

    def run(self, code: str, **options: Any) -> Outcome:
        """Run a source once.

        Raises:
            NilusError: the run failed.
        """
        return self.runner.run(self.job(code, **options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reader, name)


@pytest.fixture
def lake(tmp_path: Path) -> Lakehouse:
    """A lakehouse in a local folder, with nothing configured."""
    warehouse = tmp_path / "lake house"
    return Lakehouse(f"iceberg://{warehouse}", LakeReader.local(warehouse), PipelineRunner(tmp_path))


@pytest.fixture
def rows() -> Callable[..., str]:
    """`rows(expression, **hints)`: a source with one resource `orders` that yields the rows of an expression."""
    return source


def source(expression: str, **hints: Any) -> str:
    """Return a source with one resource `orders`; the expression may use `datetime`, `Decimal` and `pa`."""
    given = ", ".join(f"{name}={value!r}" for name, value in {"name": "orders", **hints}.items())
    return f"""
    import datetime, decimal, os
    from decimal import Decimal
    import pyarrow as pa

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            @nilus.resource({given})
            def orders():
                yield from {" ".join(expression.splitlines())}
            return orders
    """
