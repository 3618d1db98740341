"""dlt's DuckDB destination, with a look at the journal in each transaction of a load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from dlt.common.destination.client import LoadJob
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.destinations.impl.duckdb.factory import duckdb
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from nilus.runtime.sinks.databases.fence_clients import FencedJobClient, FencedSqlClient


class _SqlClient(FencedSqlClient, DuckDbSqlClient):
    def _run_counted(self, statement: str, *values: str) -> int:
        ((count,),) = self.execute_sql(statement, *values) or ((0,),)
        return int(count)


class _FileJob(DuckDbCopyJob):
    """Loads a file in one transaction. A subclass: `_job_client` is dlt's."""

    def run(self) -> None:
        with self._job_client.sql_client.begin_transaction():
            super().run()


class FencedDuckDbClient(FencedJobClient, DuckDbClient):
    """dlt's client; the file of a load is one transaction with the look at its row."""

    sql_client_type = _SqlClient
    jobs: ClassVar[Mapping[type[LoadJob], Callable[[str], LoadJob]]] = {DuckDbCopyJob: _FileJob}


class DuckDbDestination(duckdb):
    """dlt's factory, with that client."""

    @property
    def destination_type(self) -> str:
        """Return dlt's name of the destination: pipelines that know it by that go on."""
        return "dlt.destinations.duckdb"

    @property
    def client_class(self) -> type[Any]:
        """Return the client; asked by dlt."""
        return FencedDuckDbClient
