"""PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode

from nilus.errors import DestinationError
from nilus.runtime.columns.chunk_files import TableWriter
from nilus.runtime.sinks.base import ATOMIC
from nilus.runtime.sinks.databases.copy_files import CopyFileWriter
from nilus.runtime.sinks.databases.server import ServerSink

# deadlock, duplicate schema, table and column, serialization failure, and "tuple concurrently updated"
_COLLISIONS = frozenset({"40P01", "42P06", "42P07", "42701", "40001", "XX000"})

# libpq's own on this side; the server's on its side, so that a worker that is cut off in the middle of a file does not
# keep the locks of its transaction, which others wait for. The zone is that of all points in time: the
# server's own would shift them on their way into a column without one.
_TIMEOUTS = {
    "connect_timeout": "30",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "options": "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 "
    "-c idle_in_transaction_session_timeout=60000 -c TimeZone=UTC",
}

_COPIED_AT_ONCE = 4
"""Files of 100,000 rows: a million rows took 10 s, with two at once 18 s, in one file 24 s; with dlt's 20 no less, and
more memory. Two cores, server included, others at work."""


class PostgresSink(ServerSink):
    """`postgresql://user:password@host:port/database?sslmode=…`; a driver in the scheme is left out.

    Files are parquet, and copied. INSERT statements, dlt's own way, take rows one by one, at four times the processor
    time.
    """

    name: ClassVar[str] = "postgres"
    best_file_format: ClassVar[str | None] = "parquet"
    keeps_files: ClassVar[bool] = False
    counts_name_bytes: ClassVar[bool] = True
    arrow_as_csv: ClassVar[bool] = True
    refusals: ClassVar[tuple[str, ...]] = (
        "password authentication failed",
        "no password supplied",
        "(role|database|user) .* does not exist",
        "no pg_hba.conf entry",
        "permission denied",
        "does not support SSL",
        "certificate verify failed",
        "certificate file .* does not exist",
        "invalid (dsn|connection option|port number|integer value|sslmode value)",
    )

    def destination(self) -> Any:
        """Return dlt's PostgreSQL destination.

        Raises:
            DestinationError: the driver is not installed, or the address lacks user, password, host or database.
        """
        try:
            import psycopg2  # noqa: F401
        except ImportError as error:
            raise DestinationError(
                "The PostgreSQL driver is not installed",
                expected="psycopg2",
                found=str(error),
                remedy='install "airflow-provider-nilus[postgres]" on the worker',
            ) from error
        rest = self.spec.address.partition("://")[2]
        self._check(rest)
        from nilus.runtime.sinks.databases.postgres_copy import PostgresDestination

        parallel: dict[str, Any] = {"max_parallel_load_jobs": _COPIED_AT_ONCE} if self._copies else {}
        return PostgresDestination(credentials=f"postgresql://{with_timeouts(rest)}", **parallel, **ATOMIC)

    @property
    def _copies(self) -> bool:
        return self.spec.loader_file_format in (None, "parquet")

    @property
    def table_writer(self) -> type[TableWriter]:
        """See `Sink`."""
        return CopyFileWriter

    def is_collision(self, errors: Sequence[BaseException]) -> bool:
        """See `Sink`. PostgreSQL says it by a conflict in its own catalog, a deadlock, or that the thing exists."""
        import psycopg2

        return any(
            error.pgcode in _COLLISIONS or (error.diag.constraint_name or "").startswith("pg_")
            for error in errors
            if isinstance(error, psycopg2.Error)
        )

    def take_lock(self, client: Any, name: str) -> bool:
        """See `ServerSink`: an advisory lock of the database."""
        ((answer,),) = client.execute_sql("SELECT pg_try_advisory_lock(%s)", _key(name)) or ((False,),)
        return bool(answer)

    def holder(self, client: Any, name: str) -> str | None:
        """See `ServerSink`: its process and when it began. A key's halves are in `pg_locks` without their sign."""
        high, low = divmod(_key(name) % 2**64, 2**32)
        found = client.execute_sql(
            "SELECT a.pid || '@' || extract(epoch FROM a.backend_start) FROM pg_locks l JOIN pg_stat_activity a"
            " ON a.pid = l.pid AND a.datid = l.database WHERE l.locktype = 'advisory' AND l.granted"
            " AND a.datname = current_database()"
            " AND l.classid = %s::bigint AND l.objid = %s::bigint AND l.objsubid = 1",
            high,
            low,
        )
        return found[0][0] if found else None

    def end_session(self, client: Any, session: str) -> None:
        """See `ServerSink`."""
        client.execute_sql("SELECT pg_terminate_backend(%s)", int(session.partition("@")[0]))

    def _check(self, rest: str) -> None:
        # SQLAlchemy where it is installed, which an environment without Airflow need not have; else dlt's own.
        from dlt.common.libs.sql_alchemy_compat import make_url  # type: ignore[attr-defined]

        try:
            url = make_url(f"postgresql://{rest}")
            missing = [part for part in ("username", "password", "host", "database") if not getattr(url, part)]
        except Exception:  # noqa: BLE001 - which one depends on who reads it
            missing = ["anything that can be read"]
        if missing:
            raise DestinationError(
                "The PostgreSQL address is not complete",
                expected="postgresql://user:password@host:5432/database, special characters percent-encoded",
                found=f"an address without {', '.join(missing)}",
                remedy="complete sink.address, or name an Airflow connection: dataos://<connection id>",
            )


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def with_timeouts(rest: str) -> str:
    """Return an address with the parameters by which a dead peer is noticed, on both sides, within about a minute.

    Args:
        rest: the address behind `://`; what it says itself stays.
    """
    place, mark, query = rest.partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    names = {name for name, _ in given}
    added = {name: value for name, value in _TIMEOUTS.items() if name not in names}
    if not added:
        return f"{place}{mark}{query}"
    return f"{place}?{'&'.join(filter(None, (query, urlencode(added, quote_via=quote))))}"
