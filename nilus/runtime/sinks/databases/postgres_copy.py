"""dlt's PostgreSQL destination, with parquet files loaded by COPY.

dlt loads parquet files through a driver that has to be installed beside the database's own, and makes `json` columns
for it instead of `jsonb`. Here a file is copied as CSV, which Arrow writes, over the connection there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import HasFollowupJobs, LoadJob, RunnableLoadJob
from dlt.common.schema.typing import TColumnSchema
from dlt.destinations.impl.postgres.factory import PostgresTypeMapper, postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from dlt.destinations.sql_client import raise_database_error

from nilus.runtime.sinks.databases.copy_stream import CopyStream
from nilus.runtime.sinks.databases.fence_clients import FencedJobClient, FencedSqlClient

_SENT_AT_ONCE = 1 << 18


class CopyJob(RunnableLoadJob, HasFollowupJobs):
    """Copies a parquet file, in one transaction.

    A subclass: `_job_client` and `_file_path` are dlt's.
    """

    def run(self) -> None:
        """Copy the file; called by dlt.

        Raises:
            DatabaseException: what the server said, as dlt sorts it: whether another try may help.
        """
        client = self._job_client.sql_client  # type: ignore[attr-defined]
        table = client.make_qualified_table_name(self.load_table_name)
        with CopyStream(self._file_path) as stream:
            if not stream.rows:
                return
            columns = ", ".join(client.escape_column_name(name) for name in stream.columns)
            statement = f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT CSV, NULL '', ENCODING 'utf-8')"
            _copy(client, statement, stream)


@raise_database_error
def _copy(client: Any, statement: str, stream: CopyStream) -> None:
    with client.begin_transaction(), client.native_connection.cursor() as cursor:
        cursor.copy_expert(statement, stream, size=_SENT_AT_ONCE)


class _SqlClient(FencedSqlClient, Psycopg2SqlClient):
    lock = "FOR SHARE"


class CopyClient(FencedJobClient, PostgresClient):
    """Loads parquet files by `CopyJob`, all others as dlt does."""

    sql_client_type = _SqlClient
    jobs: ClassVar[Mapping[type[LoadJob], Callable[[str], LoadJob]]] = {PostgresParquetCopyJob: CopyJob}


class JsonbTypes(PostgresTypeMapper):
    """dlt's types, whatever the load files are: nested values are `jsonb`."""

    def to_destination_type(self, column: TColumnSchema, table: PreparedTableSchema) -> str:
        """Return the type of a column; called by dlt."""
        any_format: Any = {**table, "file_format": None}
        return super().to_destination_type(column, any_format)


class PostgresDestination(postgres):
    """dlt's factory, with that client.

    A subclass: `_raw_capabilities` stands in for dlt's.
    """

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.type_mapper = JsonbTypes
        # dlt's takes parquet away where its driver is not installed.
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]
        return capabilities

    @property
    def destination_type(self) -> str:
        """Return dlt's name of the destination: pipelines that know it by that go on."""
        return "dlt.destinations.postgres"

    @property
    def client_class(self) -> type[Any]:
        """Return the client; asked by dlt."""
        return CopyClient
