"""Clients of SQL databases that look at the journal whenever they are about to change something for a load.

The look is a statement of the same transaction that locks the load's row: whoever takes the load over updates that row,
and so waits for the transaction, or is seen by it. The transaction of a load file writes down that the file has landed
by the same statement, so that a file whose answer was lost is not loaded twice.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import LoadJob, RunnableLoadJob
from dlt.common.schema import Schema
from dlt.destinations.job_client_impl import SqlLoadJob
from dlt.destinations.typing import DBTransaction

from nilus.runtime.recovery.fence import Fence, current
from nilus.runtime.recovery.journal import TABLE
from nilus.runtime.recovery.sql_journal import FILES_TABLE, LOAD_ID

log = logging.getLogger("nilus")


class _Landed(Exception):  # noqa: N818 - it is no error
    """The file has landed before, and the answer was lost."""


class FencedSqlClient:
    """Goes before dlt's SQL client among the bases of a client.

    Attributes:
        insert_once: how an INSERT begins that leaves out rows whose key is there.
        unless_there: how it ends.
        lock: what a SELECT ends with that locks what it reads.
    """

    insert_once = "INSERT INTO"
    unless_there = "ON CONFLICT DO NOTHING"
    lock = ""
    file: str | None = None
    dataset_name: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._journaled = self.dataset_name

    @contextmanager
    def begin_transaction(self) -> Iterator[DBTransaction]:
        """Begin a transaction; of a load, it begins with the look at its row.

        Raises:
            LoadStopped: the load belongs to somebody else by now, or a lock was lost.
        """
        with super().begin_transaction() as transaction:  # type: ignore[misc]
            self.look()
            yield transaction

    def truncate_tables(self, *tables: str) -> None:
        """Empty tables, in one transaction."""
        with self.begin_transaction():
            super().truncate_tables(*tables)  # type: ignore[misc]

    def look(self) -> None:
        """Lock the load's row; note that the file has landed, if it is a file that the transaction loads.

        Raises:
            LoadStopped: see `begin_transaction`.
        """
        fence = current()
        if fence is None:
            return
        if self.file is not None:
            self._note(fence, self.file)
        elif not self._is_ours(fence):
            raise fence.taken_over_by(self._taker(fence))
        fence.check_lock(self)  # afterwards: who takes a load over ends the session of its worker

    def forget_files(self, load_id: str) -> None:
        """Remove what is noted of the files of a load that is complete."""
        if current() is None:
            return
        name = self._name(LOAD_ID)
        self.execute_sql(f"DELETE FROM {self._table(FILES_TABLE)} WHERE {name} = %s", load_id)  # type: ignore[attr-defined]  # noqa: S608

    def _note(self, fence: Fence, file: str) -> None:
        statement = (
            f"{self.insert_once} {self._table(FILES_TABLE)} ({self._name(LOAD_ID)}, {self._name('file')})"  # noqa: S608
            f" SELECT {self._name('load_id')}, %s FROM {self._table(TABLE)} WHERE {self._condition} {self.lock}"
            f" {self.unless_there}"
        )
        if self._run_counted(statement, file, fence.load_id, fence.token):
            return
        if self._is_ours(fence):
            raise _Landed
        raise fence.taken_over_by(self._taker(fence))

    def _is_ours(self, fence: Fence) -> bool:
        statement = f"SELECT 1 FROM {self._table(TABLE)} WHERE {self._condition} {self.lock}"  # noqa: S608
        return bool(self.execute_sql(statement, fence.load_id, fence.token))  # type: ignore[attr-defined]

    @property
    def _condition(self) -> str:
        return f"{self._name('load_id')} = %s AND {self._name('fence')} = %s AND {self._name('taken_by')} IS NULL"

    def _run_counted(self, statement: str, *values: str) -> int:
        """Run a statement and return how many rows it changed."""
        with self.execute_query(statement, *values) as cursor:  # type: ignore[attr-defined]
            return int(cursor.native_cursor.rowcount)

    def _taker(self, fence: Fence) -> str | None:
        rows = self.execute_sql(  # type: ignore[attr-defined]
            f"SELECT {self._name('taken_by')} FROM {self._table(TABLE)} WHERE {self._name('load_id')} = %s",  # noqa: S608
            fence.load_id,
        )
        return str(rows[0][0]) if rows and rows[0][0] else None

    def _table(self, name: str) -> str:
        with self.with_alternative_dataset_name(self._journaled):  # type: ignore[attr-defined]
            return str(self.make_qualified_table_name(name))  # type: ignore[attr-defined]

    def _name(self, column: str) -> str:
        return str(self.escape_column_name(column))  # type: ignore[attr-defined]


class FencedJobClient:
    """Goes before dlt's job client among the bases of a client.

    Attributes:
        sql_client_type: what takes the place of dlt's SQL client, a `FencedSqlClient`.
        jobs: what takes the place of dlt's jobs, by their types; made of the file's path.
    """

    sql_client: Any
    sql_client_type: ClassVar[type[Any]]
    jobs: ClassVar[Mapping[type[LoadJob], Callable[[str], LoadJob]]] = {}

    def __init__(self, schema: Schema, config: Any, capabilities: DestinationCapabilitiesContext) -> None:
        super().__init__(schema, config, capabilities)  # type: ignore[call-arg]
        made = self.sql_client
        self.sql_client = self.sql_client_type(
            made.dataset_name, made.staging_dataset_name, config.credentials, capabilities
        )

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """Return the job for a file; called by dlt."""
        job: LoadJob = super().create_load_job(table, file_path, load_id, restore)  # type: ignore[misc]
        if type(job) in self.jobs:
            job = self.jobs[type(job)](file_path)
        if isinstance(job, RunnableLoadJob):
            job.run = functools.partial(_run_once, job, job.run)  # type: ignore[method-assign]
        return job

    def prepare_load_job_execution(self, job: RunnableLoadJob) -> None:
        """Let the transaction of a load file note it; statements that move rows on may be repeated. Called by dlt."""
        super().prepare_load_job_execution(job)  # type: ignore[misc]
        if not isinstance(job, SqlLoadJob):
            self.sql_client.file = hashlib.sha256(job.job_id().encode()).hexdigest()[:32]

    def complete_load(self, load_id: str) -> None:
        """Enter the load among those that are complete, in the transaction that looks at its row."""
        with self.sql_client.begin_transaction():
            super().complete_load(load_id)  # type: ignore[misc]
            self.sql_client.forget_files(load_id)


def _run_once(job: RunnableLoadJob, run: Any) -> None:
    try:
        run()
    except _Landed:
        log.info("File %s has landed before: its answer was lost", job.file_name())
