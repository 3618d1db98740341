"""DuckDB: a file with one writer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from nilus.errors import DestinationError
from nilus.runtime.destinations.base import Sink

log = logging.getLogger("nilus")

LOCK_TIMEOUT_SECONDS = 1800.0
_SAY_AFTER_SECONDS = 2.0


class DuckDBSink(Sink):
    """`duckdb:///relative/or/absolute.duckdb`.

    Files are loaded from parquet: dlt's default, INSERT statements, costs some two hundred times as much here.
    """

    name: ClassVar[str] = "duckdb"
    loader_file_format: ClassVar[str | None] = "parquet"

    @property
    def path(self) -> Path:
        """The database file, absolute.

        Raises:
            DestinationError: the address names no file.
        """
        rest = self.spec.address.partition("://")[2].partition("?")[0]
        path = unquote(rest.removeprefix("/")) if rest.startswith("/") else unquote(rest)
        if not path or path == ":memory:":
            raise DestinationError(
                "The DuckDB address names no file",
                expected="duckdb:///folder/file.duckdb, or duckdb:////absolute/path.duckdb",
                found=self.spec.display_address,
                remedy="a database in memory would be gone with the task; name a file",
            )
        if not Path(path).is_absolute():
            raise DestinationError(
                "The DuckDB address was not made absolute before the run",
                expected="an absolute path",
                found=self.spec.display_address,
                remedy="give the address with four slashes: duckdb:////absolute/path.duckdb",
            )
        return Path(path)

    def destination(self) -> Any:
        """Return dlt's DuckDB destination; the file's folder is made if it is missing."""
        import dlt

        path = self.path
        if path.stem.lower() == self.spec.dataset.lower():
            raise DestinationError(
                f"The schema {self.spec.dataset!r} has the name of the DuckDB file {path.name}",
                expected="two different names: DuckDB cannot tell a schema from the database of the same name",
                found=f"dest-table {self.spec.dataset!r} in {path.name}",
                remedy="rename the file or choose another dest-table",
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DestinationError(
                f"The folder of the DuckDB file cannot be made: {error.strerror}",
                expected="a folder this worker may write to",
                found=str(path.parent),
                remedy="correct the address or the folder's rights",
            ) from error
        return dlt.destinations.duckdb(credentials=str(path))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait for other runs that write to the same file, and say so.

        Raises:
            DestinationError: others held the file for more than `LOCK_TIMEOUT_SECONDS` seconds.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self.path}.lock", thread_local=False)
        started = time.monotonic()
        try:
            lock.acquire(timeout=_SAY_AFTER_SECONDS)
        except Timeout:
            log.info("Waiting for another run that writes to %s", self.path)
            try:
                lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
            except Timeout:
                raise DestinationError(
                    f"Another run has been writing to {self.path} for too long",
                    expected=f"the file to become free within {LOCK_TIMEOUT_SECONDS:.0f} s",
                    found=f"{self.path}.lock is held",
                    remedy="DuckDB takes one writer: run fewer tasks into one file at once",
                    retryable=True,
                ) from None
            log.info("Waited %.1f s for %s", time.monotonic() - started, self.path)
        try:
            yield
        finally:
            lock.release()
