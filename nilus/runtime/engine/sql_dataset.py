"""A dataset of a SQL destination, through dlt's client."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from dlt.common.destination.exceptions import DestinationException
from dlt.destinations.job_client_impl import SqlJobClientBase

from nilus.runtime.engine.sql_dialect import dialect_of

KEY_LENGTH: Final = 64


class SqlDataset:
    """A dataset, connected; every statement is committed unless it is in a `transaction`.

    Args:
        client: dlt's client of the destination, connected.

    Attributes:
        schema: a schema of dlt's, for the names of dlt's own tables.
        dialect: how the destination's SQL differs.
    """

    def __init__(self, client: SqlJobClientBase) -> None:
        self._client = client
        self._sql = client.sql_client
        self.schema = client.schema
        self.dialect = dialect_of(self._sql)

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows; places of values are written `%s`."""
        stored = map(self.dialect.to_driver, values)
        return [tuple(row) for row in self._sql.execute_sql(statement, *stored) or ()]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does together, or none of it."""
        with self._sql.begin_transaction():
            for statement in self.dialect.transaction_settings:
                self.execute(statement)
            yield

    def table(self, name: str) -> str:
        """Return the name of a table as it is written in a statement."""
        return self._sql.make_qualified_table_name(name)

    def name(self, column: str) -> str:
        """Return the name of a column as it is written in a statement."""
        return self._sql.escape_column_name(self.schema.naming.normalize_path(column))

    def names(self, columns: Iterable[str]) -> str:
        """Return the names of columns, with commas between them."""
        return ", ".join(map(self.name, columns))

    def exists(self, table: str) -> bool:
        """Tell whether the dataset and the table are there."""
        return self._client.is_storage_initialized() and self._client.get_storage_table(table)[0]

    def make(self, table: str, columns: Mapping[str, str], *, key: Collection[str]) -> None:
        """Make the dataset and the table, unless they are there; a table that lacks columns gets them.

        Args:
            table: its name.
            columns: name to one of dlt's data types; each destination has its own names for those.
            key: the columns of the primary key, texts of up to `KEY_LENGTH` characters.
        """
        _make(self._client.is_storage_initialized, self._client.initialize_storage)
        written = [
            f"{self.name(name)} {self._type(name, kind, table, name in key)}{' NOT NULL' if name in key else ''}"
            for name, kind in columns.items()
        ]
        statement = (
            f"CREATE TABLE {self.table(table)} ({', '.join(written)}, PRIMARY KEY ({self.names(key)}))"
            f"{self.dialect.table_options}"
        )
        _make(lambda: self.exists(table), lambda: self.execute(statement))
        there = self._columns(table)
        for name, text in zip(columns, written, strict=True):
            if self.schema.naming.normalize_path(name) not in there:
                statement = f"ALTER TABLE {self.table(table)} ADD COLUMN {text}"
                _make(partial(self.has, table, name), partial(self.execute, statement))

    def has(self, table: str, column: str) -> bool:
        """Tell whether a table is there and has a column."""
        return self.schema.naming.normalize_path(column) in self._columns(table)

    def _columns(self, table: str) -> Collection[str]:
        return self._client.get_storage_table(table)[1]

    def _type(self, name: str, kind: str, table: str, is_key: bool) -> str:
        column: Any = {"name": name, "data_type": kind, **({"precision": KEY_LENGTH} if is_key else {})}
        return self.dialect.column_type(self._client.type_mapper.to_destination_type(column, {"name": table}))

    def tables_with(self, column: str) -> list[str]:
        """Return the names of the tables that have a column; views are none."""
        query, values = self.dialect.tables_with(
            self._sql.make_qualified_table_name_path(None, quote=False)[-1], self.schema.naming.normalize_path(column)
        )
        rows = self.execute(query, *values)
        return sorted(name for (name,) in rows)


def _make(exists: Callable[[], bool], make: Callable[[], Any]) -> None:
    """Make what is missing; another run that makes it in the same moment is as good."""
    if exists():
        return
    try:
        make()
    except DestinationException:
        if not exists():
            raise
