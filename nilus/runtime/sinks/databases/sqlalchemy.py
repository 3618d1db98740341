"""dlt's SQLAlchemy destination with what SQLite and MySQL need on top of it.

Times are stored in UTC whatever offset they come with, JSON once and not twice, texts and bytes of any length.
Databases are made so that keys that differ in case are different keys. A merge changes its table in one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from dlt.common.destination import PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest
from dlt.common.json import json
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import get_columns_names_with_prop
from dlt.destinations.impl.sqlalchemy.db_api_client import SqlalchemyClient
from dlt.destinations.impl.sqlalchemy.dialect import (
    MysqlDialectCapabilities,
    SqliteDialectCapabilities,
    register_dialect_capabilities,
)
from dlt.destinations.impl.sqlalchemy.factory import sqlalchemy
from dlt.destinations.impl.sqlalchemy.merge_job import SqlalchemyMergeFollowupJob
from dlt.destinations.impl.sqlalchemy.sqlalchemy_job_client import SqlalchemyJobClient
from dlt.destinations.impl.sqlalchemy.type_mapper import MysqlVariantTypeMapper, SqlalchemyTypeMapper
from dlt.destinations.typing import DBTransaction
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from nilus.runtime.recovery.fence import Fence
from nilus.runtime.recovery.journal import TABLE
from nilus.runtime.sinks.databases.fence_clients import FencedJobClient, FencedSqlClient

_KEY_PREFIX = 191
"""Characters of a text that an index of MySQL holds in any of its character sets, `_KEY_COLUMNS` times."""


_CREATED = re.compile(r"\s*CREATE TABLE (\S+) \(\s*(\S+) (\w+)")
_MAKES = re.compile(r"\s*(CREATE|DROP|ALTER|TRUNCATE)\b", re.IGNORECASE)
_KEY_COLUMNS = 3


class UtcTime(TypeDecorator[datetime]):
    """A point in time: what has an offset is stored in UTC; these databases know no offsets and would drop it."""

    impl = sa.DateTime
    cache_ok = True

    def __init__(self, fsp: int | None = None) -> None:
        super().__init__()
        self.fsp = fsp

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return the type the database has for it."""
        return mysql.DATETIME(fsp=self.fsp) if dialect.name == "mysql" else dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the value as it is stored."""
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        return value


class JsonText(TypeDecorator[Any]):
    """JSON: a text is taken for JSON already, which it is in every load file, all else is made JSON."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return the type the database has for it."""
        return mysql.LONGTEXT() if dialect.name == "mysql" else dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the value as it is stored."""
        return value if value is None or isinstance(value, str) else json.dumps(value)


class _Times:
    def db_type_from_timestamp_type(self, column: TColumnSchema, table: PreparedTableSchema) -> Any:  # noqa: ARG002
        """Return the type of a column of points in time."""
        precision = column.get("precision")
        return UtcTime(fsp=6 if precision is None else precision)

    def db_type_from_json_type(self, column: TColumnSchema, table: PreparedTableSchema) -> Any:  # noqa: ARG002
        """Return the type of a column of JSON."""
        return JsonText()


class MysqlTypes(_Times, MysqlVariantTypeMapper):
    """Types of MySQL and MariaDB: texts and bytes of any length, where dlt's hold 64 kB."""

    def db_type_from_text_type(self, column: TColumnSchema, table: PreparedTableSchema) -> Any:
        """Return the type of a column of text."""
        found = super().db_type_from_text_type(column, table)
        return found if isinstance(found, sa.String) and found.length else mysql.LONGTEXT()

    def db_type_from_binary_type(self, column: TColumnSchema, table: PreparedTableSchema) -> Any:
        """Return the type of a column of bytes."""
        return super().db_type_from_binary_type(column, table) if column.get("precision") else mysql.LONGBLOB()

    def db_type_from_time_type(self, column: TColumnSchema, table: PreparedTableSchema) -> Any:  # noqa: ARG002
        """Return the type of a column of times of the day, which dlt's would cut to seconds."""
        precision = column.get("precision")
        return mysql.TIME(fsp=6 if precision is None else precision)


class SqliteTypes(_Times, SqlalchemyTypeMapper):
    """Types of SQLite."""


class _Mysql(MysqlDialectCapabilities):
    def type_mapper_class(self) -> type[MysqlTypes]:
        return MysqlTypes


class _Sqlite(SqliteDialectCapabilities):
    def type_mapper_class(self) -> type[SqliteTypes]:
        return SqliteTypes


class _MergeJob(SqlalchemyMergeFollowupJob):
    """Makes tables and indexes first: in MySQL that ends a transaction, which would make half a merge visible."""

    @classmethod
    def gen_merge_sql(cls, table_chain: Sequence[PreparedTableSchema], sql_client: SqlalchemyClient) -> list[str]:  # type: ignore[override]
        statements = super().gen_merge_sql(table_chain, sql_client)
        makes = [text for text in statements if text.lstrip().startswith(("CREATE TABLE", "DROP TABLE"))]
        indexes = [_index_of(text) for text in makes if "CREATE" in text and sql_client.dialect_name == "mysql"]
        return [*makes, *filter(None, indexes), *(text for text in statements if text not in makes)]


def _index_of(statement: str) -> str | None:
    """Return the index for a table of row keys that a merge makes: MySQL looks through all of it for each row else."""
    found = _CREATED.match(statement)
    if found is None:
        return None
    table, column, kind = found.groups()
    return f"CREATE INDEX nilus_key ON {table} ({column}{f'({_KEY_PREFIX})' if 'TEXT' in kind else ''})"


class _Client(FencedSqlClient, SqlalchemyClient):
    """Makes databases whose texts are compared as they are, and the indexes that merges need.

    A subclass: `_ensure_transaction`, `_in_transaction` and `_current_transaction` are dlt's.
    """

    unless_there = ""

    @property
    def insert_once(self) -> str:  # type: ignore[override]
        return "INSERT IGNORE INTO" if self.dialect_name == "mysql" else "INSERT OR IGNORE INTO"

    @property
    def lock(self) -> str:  # type: ignore[override]
        return "LOCK IN SHARE MODE" if self.dialect_name == "mysql" else ""

    @contextmanager
    def _ensure_transaction(self) -> Iterator[DBTransaction]:
        """Begin a transaction for one statement, which is not looked at: what changes a load is in one of its own."""
        if self._in_transaction():
            yield self._current_transaction  # type: ignore[misc]
            return
        with SqlalchemyClient.begin_transaction(self) as transaction:
            yield transaction

    def execute_many(self, statements: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        """Look again after statements that end a transaction in MySQL."""
        if self.dialect_name != "mysql":
            return super().execute_many(statements, *args, **kwargs)
        last = max((number for number, text in enumerate(statements) if _MAKES.match(text)), default=-1) + 1
        done = super().execute_many(statements[:last], *args, **kwargs) if last else []
        if last and self._in_transaction():
            self.look()
        return [*(done or ()), *(super().execute_many(statements[last:], *args, **kwargs) or ())]

    def _is_ours(self, fence: Fence) -> bool:
        if self.dialect_name == "mysql":
            return super()._is_ours(fence)
        # Only a change begins a transaction of SQLite's driver.
        return bool(
            self._run_counted(
                f"UPDATE {self._table(TABLE)} SET {self._name('fence')} = %s WHERE {self._condition}",  # noqa: S608
                fence.token,
                fence.load_id,
                fence.token,
            )
        )

    def create_dataset(self) -> None:
        if self.dialect_name != "mysql":
            super().create_dataset()
            return
        name = self.dialect.identifier_preparer.quote_identifier(self.dataset_name)
        self.execute_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")

    def index_keys(self, table: str, columns: Sequence[str]) -> None:
        """Make an index over key columns unless the table has one that begins with the first of them."""
        with self._ensure_transaction():
            found = sa.inspect(self.native_connection).get_indexes(table, schema=self.dataset_name)
            if any(index["column_names"][:1] == [columns[0]] for index in found):
                return
            reflected = sa.Table(table, sa.MetaData(), schema=self.dataset_name, autoload_with=self.native_connection)
        parts = [self._index_part(reflected.c[column]) for column in columns[:_KEY_COLUMNS]]
        name = self.escape_column_name(f"nilus_key_{table}"[: self.capabilities.max_identifier_length])
        path = self.make_qualified_table_name_path(table)
        if self.dialect_name == "sqlite":  # the schema goes with the index's name
            name, path = f"{path[0]}.{name}", path[1:]
        self.execute_sql(f"CREATE INDEX {name} ON {'.'.join(path)} ({', '.join(parts)})")

    def _index_part(self, column: sa.Column[Any]) -> str:
        name = self.escape_column_name(column.name)
        is_long = any(kind in type(column.type).__name__.upper() for kind in ("TEXT", "BLOB"))
        return f"{name}({_KEY_PREFIX})" if self.dialect_name == "mysql" and is_long else name


class _JobClient(FencedJobClient, SqlalchemyJobClient):
    # A subclass: `_to_table_object` is dlt's, and `_create_merge_followup_jobs` stands in for dlt's.
    sql_client: _Client
    sql_client_type = _Client

    def _create_merge_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[FollowupJobRequest]:
        for table in table_chain:
            self._to_table_object(table)
        self._index_merged(table_chain)
        return [_MergeJob.from_table_chain(table_chain, self.sql_client)]

    def _index_merged(self, table_chain: Sequence[PreparedTableSchema]) -> None:
        """Index what the merge looks rows up by: without it every row would be compared with every other."""
        root: Any = table_chain[0]
        keys = get_columns_names_with_prop(root, "primary_key") or get_columns_names_with_prop(root, "merge_key")
        if keys:
            with self.sql_client as client, client.with_staging_dataset():
                client.index_keys(root["name"], keys)


class SqlalchemyDestination(sqlalchemy):
    """dlt's `sqlalchemy` destination with the types and clients of this module."""

    @property
    def destination_type(self) -> str:
        """What dlt keeps in its state: a name that stays when this module moves (dlt derives it from the path)."""
        return "nilus.runtime.destinations.sqlalchemy_destination.SqlalchemyDestination"

    @property
    def client_class(self) -> type[SqlalchemyJobClient]:
        """The client of load jobs."""
        return _JobClient


def destination(url: str, **options: Any) -> SqlalchemyDestination:
    """Return the destination of a SQLAlchemy URL.

    Args:
        url: with the driver, and with everything needed to connect.
        options: arguments of dlt's destination.
    """
    register_dialect_capabilities("mysql", _Mysql)
    register_dialect_capabilities("mariadb", _Mysql)
    register_dialect_capabilities("sqlite", _Sqlite)
    return SqlalchemyDestination(credentials=url, **options)
