"""Where SQL databases differ in what the journal asks of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


class Dialect:
    """SQL as the standard has it, which PostgreSQL and DuckDB speak."""

    table_options = ""
    """What follows the columns of a table that is made."""

    transaction_settings: tuple[str, ...] = ()
    """Statements that begin a transaction."""

    def to_driver(self, value: Any) -> Any:
        """Return a value as it is handed to the driver."""
        return value

    def moment(self, value: Any) -> datetime:
        """Return a point in time as the driver gave it, with an offset."""
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def number(self, expression: str) -> str:
        """Return the expression of a text's value as a number."""
        return f"CAST({expression} AS DOUBLE PRECISION)"

    def column_type(self, kind: Any) -> str:
        """Return a type of dlt's mapper as it is written in a statement."""
        return str(kind)

    def tables_with(self, dataset: str, column: str) -> tuple[str, tuple[str, ...]]:
        """Return the query for the names of the tables that have a column, views left out, and its values.

        Args:
            dataset: the schema's name, not quoted.
            column: the column's.
        """
        return (
            "SELECT t.table_name FROM information_schema.tables t JOIN information_schema.columns c"
            " ON c.table_schema = t.table_schema AND c.table_name = t.table_name"
            " WHERE t.table_schema = %s AND t.table_type = 'BASE TABLE' AND c.column_name = %s",
            (dataset, column),
        )


class _Postgres(Dialect):
    # What is waited for is a load that lost its right to write, in the middle of a file: its server ends it if its
    # worker is gone, see `PostgresSink`.
    transaction_settings = ("SET LOCAL lock_timeout = '90s'",)


class _Sqlalchemy(Dialect):
    """A database that is reached through SQLAlchemy and knows no offsets of time: all is in UTC."""

    def __init__(self, dialect: Any) -> None:
        self._dialect = dialect

    def to_driver(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None)
        return value

    def column_type(self, kind: Any) -> str:
        return str(kind.compile(dialect=self._dialect))


class _Sqlite(_Sqlalchemy):
    def to_driver(self, value: Any) -> Any:
        value = super().to_driver(value)
        return value.isoformat(" ", "microseconds") if isinstance(value, datetime) else value

    def tables_with(self, dataset: str, column: str) -> tuple[str, tuple[str, ...]]:
        schema = self._dialect.identifier_preparer.quote_identifier(dataset)
        return (
            f"SELECT m.name FROM {schema}.sqlite_master m JOIN pragma_table_info(m.name, %s) c"  # noqa: S608
            " WHERE m.type = 'table' AND c.name = %s",
            (dataset, column),
        )


class _Mysql(_Sqlalchemy):
    transaction_settings = ("SET SESSION innodb_lock_wait_timeout = 90",)  # see `_Postgres`

    # Transactions, and texts that are the same only if they are.
    table_options = " ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

    def number(self, expression: str) -> str:
        return f"({expression} + 0e0)"


def dialect_of(sql_client: Any) -> Dialect:
    """Return the dialect of one of dlt's SQL clients."""
    name = getattr(sql_client, "dialect_name", None)
    if name == "sqlite":
        return _Sqlite(sql_client.dialect)
    if name in ("mysql", "mariadb"):
        return _Mysql(sql_client.dialect)
    if getattr(sql_client.dbapi, "__name__", "") == "psycopg2":
        return _Postgres()
    return Dialect()
