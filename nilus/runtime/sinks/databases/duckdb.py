"""DuckDB: a file with one writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from nilus.errors import DestinationError
from nilus.runtime.sinks.base import ATOMIC, Sink
from nilus.runtime.sinks.databases.turns import make_folder, turn, unusable
from nilus.runtime.sinks.databases.waiting import wait_for

_REMEDY = "DuckDB takes one writer: run fewer tasks into one file at once, and close what reads it"


def file_credentials(path: Path) -> Any:
    """Return dlt's credentials of a DuckDB file.

    They read and show no address, for which dlt would import SQLAlchemy: half of what it imports for DuckDB.

    Args:
        path: absolute.
    """
    from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

    class FileCredentials(DuckDbCredentials):
        def __str__(self) -> str:
            return f"duckdb:///{self.database}"

    credentials = FileCredentials()
    credentials.database = str(path)
    credentials.resolve()
    return credentials


class DuckDBSink(Sink):
    """`duckdb:///relative/or/absolute.duckdb`.

    Files are loaded from parquet: dlt's default, INSERT statements, costs some two hundred times as much here.
    """

    name: ClassVar[str] = "duckdb"
    best_file_format: ClassVar[str | None] = "parquet"
    best_file_rows: ClassVar[int] = 8 * 122_880
    """Groups of rows in a DuckDB file: what is not a whole group is written twice, into the log and then the file."""
    keeps_files: ClassVar[bool] = False
    refusals: ClassVar[tuple[str, ...]] = (
        "not a valid DuckDB database file",
        "Permission denied",
        "Read-only file system",
        "Is a directory",
        "storage version",
        "serialization version",
    )

    @property
    def path(self) -> Path:
        """The database file, absolute.

        Raises:
            DestinationError: the address names no file, or has parameters.
        """
        rest, mark, _ = self.spec.address.partition("://")[2].partition("?")
        if mark:
            raise DestinationError(
                "The DuckDB address has parameters, and none are known",
                expected="duckdb:////absolute/path.duckdb and nothing behind it",
                found=self.spec.display_address,
                remedy="take the question mark and what follows out of the address",
            )
        path = unquote(rest.removeprefix("/"))
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
        """Return dlt's DuckDB destination; the file's folder is made if it is missing.

        Raises:
            DestinationError: the file's folder cannot be made, or the schema has the name of the file.
        """
        from nilus.runtime.sinks.databases.duckdb_client import DuckDbDestination

        path = self.path
        self._refuse_equal_names(path)
        make_folder(path, "DuckDB")
        # One file after the other, each by all cores. DuckDB writes out what is committed when no transaction is open:
        # with several at a time its memory grows with the rows (10,000,000 of 8 columns: 2 GB).
        return DuckDbDestination(credentials=file_credentials(path), max_parallel_load_jobs=1, **ATOMIC)

    def _refuse_equal_names(self, path: Path) -> None:
        # DuckDB names a database by its file, up to the first dot, and does not tell upper from lower case.
        database = path.name.lstrip(".").partition(".")[0].lower()
        for schema in (self.spec.dataset.lower(), f"{self.spec.dataset.lower()}_staging"):
            if schema == database:
                raise DestinationError(
                    f"The schema {schema!r} has the name of the DuckDB file {path.name}",
                    expected="two different names: DuckDB cannot tell a schema from the database of the same name",
                    found=f"dest-table {self.spec.dataset!r} in {path.name}",
                    remedy="rename the file or choose another dest-table",
                )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait for others that have the file open, and say so: runs of ours take turns by a lock file beside it.

        Raises:
            DestinationError: the file did not become free, or it cannot be opened.
        """
        with turn(self.path, "DuckDB", remedy=_REMEDY):
            wait_for(self._can_be_opened, f"another process that has opened {self.path}", remedy=_REMEDY)
            yield

    def _can_be_opened(self) -> bool:
        import duckdb

        try:
            duckdb.connect(str(self.path)).close()
        except duckdb.IOException as error:
            if "lock" in str(error).lower():
                return False
            raise unusable(self.path, "DuckDB", str(error)) from error
        except duckdb.Error as error:
            raise unusable(self.path, "DuckDB", str(error)) from error
        return True
