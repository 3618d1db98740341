"""Databases that are reached through SQLAlchemy, looked into with another client."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mariadb_fixture import MariaDBServer
from run_fixture import Outcome, PipelineRunner

from nilus.protocol.job import Job, SinkSpec

_SINK = ("strategy", "full_refresh", "loader_file_size", "loader_file_format", "table", "staging_bucket")


class SQLite:
    """A SQLite file, opened with Python's own module."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = f"sqlite:///{path}"

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run a query on schema `raw` and return its rows; places of values are written `%s`."""
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            connection.execute("ATTACH ? AS raw", (str(self.path.with_name(f"{self.path.stem}__raw.db")),))
            found = connection.execute(query.replace("%s", "?"), arguments).fetchall()
            connection.commit()
            return found
        finally:
            connection.close()

    def names(self, kind: str = "raw") -> set[str]:
        """Return the tables of a schema."""
        return {name for (name,) in self.rows(f"SELECT name FROM {kind}.sqlite_master WHERE type = 'table'")}

    def columns(self, table: str) -> dict[str, str]:
        """Return a table's columns with their types, dlt's own left out."""
        found = self.rows("SELECT name, type FROM pragma_table_info(%s, 'raw')", table)
        return {name: kind.lower() for name, kind in found if not name.startswith("_dlt")}


class MariaDB:
    """A MariaDB server, asked through PyMySQL."""

    name = "mariadb"

    def __init__(self, server: MariaDBServer) -> None:
        self.server = server
        self.address = server.url

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run a query and return its rows; places of values are written `%s`."""
        return self.server.rows(query, *arguments)

    def names(self, kind: str = "raw") -> set[str]:
        """Return the tables of a schema."""
        found = self.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", kind)
        return {name for (name,) in found}

    def columns(self, table: str) -> dict[str, str]:
        """Return a table's columns with their types, dlt's own left out."""
        found = self.rows(
            "SELECT column_name, column_type FROM information_schema.columns"
            " WHERE table_schema = 'raw' AND table_name = %s",
            table,
        )
        return {name: kind.lower() for name, kind in found if not name.startswith("_dlt")}


@dataclass
class Shop:
    """Runs sources into a database, and looks into it."""

    database: Any
    runner: PipelineRunner

    def job(self, code: Any, **options: Any) -> Job:
        """Return the job of a run."""
        sink = {name: options.pop(name) for name in _SINK if name in options}
        spec = SinkSpec(address=self.database.address, display_address="the database", dataset="raw", **sink)
        return self.runner.job(code, spec, **options)

    def run(self, code: Any, **options: Any) -> Outcome:
        """Run a source; options go where they belong by their names."""
        return self.runner.run(self.job(code, **options))

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return self.database.rows(query, *arguments)


@pytest.fixture(params=["sqlite", "mariadb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, run_pipeline: PipelineRunner) -> Shop:
    """Sources into each of the databases."""
    if request.param == "sqlite":
        return Shop(SQLite(tmp_path / "lake.db"), run_pipeline)
    return Shop(MariaDB(request.getfixturevalue("mariadb_empty")), run_pipeline)
