"""One change of one Iceberg table as one snapshot, tried again when another writer was first.

Data files are written once; what is tried again is only the commit, on top of what the table is by then. Existing files
are looked at again by their path, so that a second try looks only at the files that are new.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from nilus.errors import DestinationError
from nilus.runtime.sinks.lakehouse.filter import everything
from nilus.runtime.sinks.lakehouse.internals import append_files, batches, data_files, look_at_all_manifests
from nilus.runtime.sinks.lakehouse.layout import sort_columns

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask, Table, Transaction

log = logging.getLogger("nilus")

CHUNK_BYTES: Final = 64 * 1024 * 1024
"""How many bytes of rows, as Arrow has them in memory, go into one data file at most."""

RETRY_SECONDS: Final = 300.0
"""How long a commit is tried again while other writers are first: all of the waiting, but that for a locked SQLite."""

LOAD_ID: Final = "nilus.load-id"
SWEPT_LOAD_ID: Final = "nilus.swept-load-id"
_WRITE_ID: Final = "nilus.write-id"

Rewrite = Callable[["Table", "FileScanTask"], "list[DataFile] | None"]
"""Says what becomes of an existing data file: None if it stays, else the files in its place, which may be none."""


@dataclass
class Change:
    """What one commit does to a table.

    Args:
        added: data files with new rows.
        rewrite: what becomes of the files that are there; None leaves them all.
        where: only files that may have rows of this kind are looked at; may depend on the table.
        also: anything else that belongs into the same commit.
        marks: make a snapshot although nothing changes, so that commits on top of the one before are too late.
    """

    added: list[DataFile] = field(default_factory=list)
    rewrite: Rewrite | None = None
    where: Callable[[Table], BooleanExpression] | None = None
    also: Callable[[Transaction], None] | None = None
    marks: bool = False
    _seen: dict[str, list[DataFile] | None] = field(default_factory=dict)

    def apply(self, transaction: Transaction, table: Table, summary: Mapping[str, str]) -> None:
        """Put the change into a transaction, as one snapshot, or as none if nothing changes."""
        replaced = list(self._replacements(table))
        files = [file for _, files in replaced for file in files] + self.added
        if replaced:
            with transaction.update_snapshot(snapshot_properties=dict(summary)).overwrite() as snapshot:
                look_at_all_manifests(snapshot)
                for original, _ in replaced:
                    snapshot.delete_data_file(original)
                for file in files:
                    snapshot.append_data_file(file)
        elif files or self.marks:
            with append_files(transaction, summary) as snapshot:
                for file in files:
                    snapshot.append_data_file(file)
        if self.also is not None:
            self.also(transaction)

    def _replacements(self, table: Table) -> Iterator[tuple[DataFile, list[DataFile]]]:
        if self.rewrite is None or table.current_snapshot() is None:
            return
        for task in table.scan(row_filter=self.where(table) if self.where else everything()).plan_files():
            path = task.file.file_path
            if path not in self._seen:
                self._seen[path] = self.rewrite(table, task)
            files = self._seen[path]
            if files is not None:
                yield task.file, files


def commit(load: Callable[[], Table], change: Callable[[Table], Change], summary: Mapping[str, str]) -> None:
    """Commit a change as one snapshot, again and again until no other writer was first.

    Args:
        load: returns the table as it is now.
        change: returns the change; called once for each try, and may return the same one.
        summary: what the snapshot says of itself.

    Raises:
        DestinationError: others were first for too long.
    """
    written = {**summary, _WRITE_ID: uuid.uuid4().hex}

    def attempt(table: Table) -> None:
        if any(_has(snapshot, _WRITE_ID, written[_WRITE_ID]) for snapshot in table.metadata.snapshots):
            return  # the answer to the last try was lost, not the try
        with _transaction(table) as transaction:
            change(table).apply(transaction, table, written)

    with_retries(load, attempt)


def with_retries(load: Callable[[], Table], change: Callable[[Table], Any]) -> None:
    """Change a table, again while another writer was first, for `RETRY_SECONDS`.

    Args:
        load: returns the table as it is now.
        change: commits; finds nothing to do if the other did the same.

    Raises:
        DestinationError: others were first for too long.
    """
    name = ""

    def attempt() -> None:
        nonlocal name
        table = load()
        name = ".".join(table.name())
        change(table)

    retrying = Retrying(
        retry=retry_if_exception(is_collision),
        stop=stop_after_delay(RETRY_SECONDS),
        wait=wait_random_exponential(multiplier=0.1, max=5.0),
        before_sleep=lambda _: log.info("Table %s was changed by another writer: committing again", name),
    )
    try:
        retrying(attempt)
    except RetryError as gave_up:
        last = gave_up.last_attempt
        error = last.exception()
        raise DestinationError(
            f"Table {name} of the lakehouse is changed by others all the time",
            expected=f"a moment within {RETRY_SECONDS:.0f} s in which nobody else commits",
            found=f"{last.attempt_number} commits that came too late, the last: {type(error).__name__}: {error}",
            remedy="run fewer tasks into this table at once",
            retryable=True,
        ) from error


def _transaction(table: Table) -> Transaction:
    """Return a transaction that commits once.

    pyiceberg's own tries would put a change on top of one that it was not made for: whoever is late looks again first.
    """
    metadata = table.metadata
    once = {**metadata.properties, "commit.retry.num-retries": "0"}
    table.metadata = metadata.model_copy(update={"properties": once})
    return table.transaction()


def is_collision(error: BaseException) -> bool:
    """Tell whether a commit failed because another writer was first, or because nobody knows whether it did."""
    from pyiceberg import exceptions

    unsure = exceptions.CommitStateUnknownException, exceptions.ServiceUnavailableError
    if isinstance(error, (exceptions.CommitFailedException, exceptions.ValidationException, *unsure)):
        return True
    # A catalog in SQLite is locked for the time of a commit.
    return type(error).__name__ == "OperationalError" and "locked" in str(error)


def has_landed(table: Table, load_id: str) -> bool:
    """Tell whether a table has the rows of a load: committed, and not swept since."""
    landed = False
    for snapshot in sorted(table.metadata.snapshots, key=lambda one: one.sequence_number or 0):
        if _has(snapshot, LOAD_ID, load_id):
            landed = True
        elif _has(snapshot, SWEPT_LOAD_ID, load_id):
            landed = False
    return landed


def _has(snapshot: Any, name: str, value: str) -> bool:
    return snapshot.summary is not None and snapshot.summary.additional_properties.get(name) == value


def write(table: Table, chunks: Iterable[pa.Table]) -> list[DataFile]:
    """Write data files, each partition apart, the rows of each file in the table's order; nothing is committed.

    Args:
        table: as it is now; its schema and partition spec are the files'.
        chunks: rows, with the table's columns; each is written before the next is asked for.
    """
    order = [(column, "ascending") for column in sort_columns(table)]
    files: list[DataFile] = []
    for chunk in chunks:
        if chunk.num_rows:
            rows = chunk.sort_by(order) if order else chunk
            files += data_files(table, rows)
    return files


def rechunk(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Put tables together, and cut them, so that each has about `CHUNK_BYTES`, the last one what is left."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        for part in _cut_table(table):
            waiting.append(part)
            size += part.nbytes
            if size >= CHUNK_BYTES:
                yield pa.concat_tables(waiting)
                waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _cut_table(table: pa.Table) -> Iterator[pa.Table]:
    if table.nbytes <= CHUNK_BYTES or table.num_rows < 2:
        yield table
        return
    rows = max(1, int(table.num_rows * CHUNK_BYTES / table.nbytes))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def rows_of(table: Table, task: FileScanTask, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
    """Return the rows of one data file, a batch at a time, less those that delete files take away.

    Args:
        table: the table.
        task: the file.
        columns: those that are read; all of them otherwise.
    """
    import pyarrow as pa

    from nilus.runtime.sinks.lakehouse.types import arrow_schema, conform

    schema = table.schema() if columns is None else table.schema().select(*columns)
    wanted, where = arrow_schema(schema), ".".join(table.name())
    for batch in batches(table, task, schema):
        yield conform(pa.Table.from_batches([batch]), wanted, where=where)


def drop_all(_table: Table, _task: FileScanTask) -> list[DataFile]:
    """Let a data file go: the rewrite of a table that is replaced."""
    return []


def rewrite_without(condition: Callable[[pa.Table], pa.Array], columns: Iterable[str]) -> Rewrite:
    """Return the rewrite that removes rows.

    Args:
        condition: tells which rows go, from their `columns` alone; nulls stay.
        columns: those the condition needs.
    """
    needed = list(columns)

    def rewrite(table: Table, task: FileScanTask) -> list[DataFile] | None:
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        rows = going = 0
        for part in rows_of(table, task, needed):
            rows += part.num_rows
            going += pc.sum(pc.fill_null(condition(part), False)).as_py() or 0
        if not going:
            return None
        if going == rows:
            return []
        kept = (
            part.filter(pc.invert(pc.fill_null(condition(part.select(needed)), False))) for part in rows_of(table, task)
        )
        return write(table, rechunk(kept))

    return rewrite
