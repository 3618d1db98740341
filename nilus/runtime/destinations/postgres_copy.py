"""dlt's PostgreSQL destination, with Arrow tables copied so that an empty text stays one.

dlt lets PostgreSQL take quoted empty values for nulls, because its writer of rows quotes both. Arrow's writer quotes
texts and leaves nulls bare, so nothing needs to be forced, and empty texts are not lost.
"""

from __future__ import annotations

import csv
from typing import Any

from dlt.common.destination import PreparedTableSchema
from dlt.common.destination.client import LoadJob
from dlt.common.storages import FileStorage
from dlt.destinations.impl.postgres.factory import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresCsvCopyJob


class ArrowCopyJob(PostgresCsvCopyJob):
    """Copies a file that Arrow wrote: texts quoted, nulls not."""

    def run(self) -> None:
        """Copy the file in one transaction; called by dlt."""
        client = self._job_client.sql_client
        table = client.make_qualified_table_name(self.load_table_name)
        with FileStorage.open_zipsafe_ro(self._file_path, "rb") as file:
            header = next(csv.reader([file.readline().decode("utf-8")]))
            columns = ", ".join(client.escape_column_name(name) for name in header)
            statement = f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT CSV, NULL '', ENCODING 'utf-8')"
            with client.begin_transaction(), client.native_connection.cursor() as cursor:
                cursor.copy_expert(statement, file)


class ArrowCopyClient(PostgresClient):
    """Loads CSV files by `ArrowCopyJob`, all others as dlt does."""

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """Return the job for a file; called by dlt."""
        job = super().create_load_job(table, file_path, load_id, restore)
        return ArrowCopyJob(file_path) if type(job) is PostgresCsvCopyJob else job


class PostgresDestination(postgres):
    """dlt's factory, with that client. Only where CSV files come from Arrow tables, which is dlt's own choice."""

    @property
    def destination_type(self) -> str:
        """Return dlt's name of the destination: pipelines that know it by that go on."""
        return "dlt.destinations.postgres"

    @property
    def client_class(self) -> type[Any]:
        """Return the client; asked by dlt."""
        return ArrowCopyClient
