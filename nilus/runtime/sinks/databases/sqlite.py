"""SQLite: a folder of files, one for each schema, with one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from nilus.errors import DestinationError
from nilus.runtime.sinks.base import ATOMIC, Sink
from nilus.runtime.sinks.databases.turns import make_folder, turn
from nilus.runtime.sinks.required_packages import require

_REMEDY = "SQLite takes one writer: run fewer tasks into one file at once, and close what writes to it"
_BUSY_SECONDS = 120
"""How long a statement waits for a writer that is no run of ours."""


class SQLiteSink(Sink):
    """`sqlite:///relative/or/absolute.db`.

    A schema is a file of its own beside the one that is named, attached while a run works: schema `raw` of `lake.db`
    is `lake__raw.db`. Only the schema `main` is the named file itself. That is how dlt does it, too.
    """

    name: ClassVar[str] = "sqlite"
    refusals: ClassVar[tuple[str, ...]] = (
        "file is not a database",
        "unable to open database file",
        "attempt to write a readonly database",
        "database disk image is malformed",
        "too many columns",
    )

    @property
    def path(self) -> Path:
        """The database file, absolute.

        Raises:
            DestinationError: the address names no file, or has parameters.
        """
        rest, mark, _ = self.spec.address.partition("://")[2].partition("?")
        path = unquote(rest.removeprefix("/"))
        if mark or not path or path == ":memory:" or not Path(path).is_absolute():
            raise DestinationError(
                "The SQLite address names no file",
                expected="sqlite:///folder/file.db, or sqlite:////absolute/path.db, and nothing behind it",
                found=self.spec.display_address,
                remedy="name a file, without parameters; a database in memory would be gone with the task",
            )
        return Path(path)

    def destination(self) -> Any:
        """Return dlt's destination; the file's folder is made if it is missing.

        Raises:
            DestinationError: SQLAlchemy is not installed, or the file's folder cannot be made.
        """
        require("sqlalchemy", "SQLAlchemy", "sqlite")
        require("alembic", "alembic", "sqlite")
        from nilus.runtime.sinks.databases import sqlalchemy

        make_folder(self.path, "SQLite")
        return sqlalchemy.destination(
            f"sqlite:///{quote(str(self.path))}",
            engine_kwargs={"connect_args": {"timeout": _BUSY_SECONDS}},
            loader_parallelism_strategy="sequential",
            **ATOMIC,
        )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Take turns with other runs of ours by a lock file beside the database.

        Raises:
            DestinationError: it did not become free, or it cannot be opened.
        """
        with turn(self.path, "SQLite", remedy=_REMEDY):
            yield
