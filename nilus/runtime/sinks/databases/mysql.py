"""MySQL and MariaDB."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Sequence
from typing import Any, ClassVar

from dlt.common.destination.exceptions import DestinationException

from nilus.errors import DestinationError
from nilus.runtime.engine.failures import chain
from nilus.runtime.engine.internals.sockets import mysql_socket
from nilus.runtime.sinks.base import ATOMIC
from nilus.runtime.sinks.databases.server import ServerSink
from nilus.runtime.sinks.required_packages import require

# A database, table or column that is there already, a deadlock, a lock that was waited for in vain, and a row that
# somebody else changed since it was read.
_COLLISIONS = frozenset({1007, 1050, 1060, 1061, 1205, 1213, 1020})
_NO_SUCH_THREAD = 1094
_CONNECT_SECONDS = 30
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}
_LONGER_THAN_A_LOAD = 7 * 86_400
# Values that do not fit are an error and never cut, and tables have transactions, whatever the server's defaults are.
_SESSION = (
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'), "
    f"time_zone = '+00:00', default_storage_engine = InnoDB, wait_timeout = {_LONGER_THAN_A_LOAD}"
    # A worker that is paused in a transaction keeps its locks no longer; MySQL has no such setting, and skips this.
    "/*M!100300 , idle_transaction_timeout = 60 */"
)


class MySQLSink(ServerSink):
    """`mysql://user:password@host:port/database`; also `mariadb://`, and a driver in the scheme is left out.

    A schema is a database of the server. The one in the address is only the one that is connected to, and may be left
    out.
    """

    name: ClassVar[str] = "mysql"
    refusals: ClassVar[tuple[str, ...]] = (
        "access denied",
        "unknown database",
        "host .* is not allowed to connect",
        "command denied",
        "SSL connection error",
        "certificate verify failed",
        "row size too large",
        "too many columns",
    )

    def destination(self) -> Any:
        """Return dlt's destination.

        Raises:
            DestinationError: a driver is not installed, or the address lacks user or host.
        """
        require("sqlalchemy", "SQLAlchemy", "mysql")
        require("alembic", "alembic", "mysql")
        require("pymysql", "PyMySQL", "mysql")
        from nilus.runtime.sinks.databases import sqlalchemy

        return sqlalchemy.destination(
            driver_url(self.spec.address),
            engine_kwargs={
                "connect_args": {"init_command": _SESSION, "connect_timeout": _CONNECT_SECONDS},
                "pool_events": [(_notice_dead_peer, "connect")],
            },
            **ATOMIC,
        )

    def is_collision(self, errors: Sequence[BaseException]) -> bool:
        """See `Sink`. MySQL says it by a deadlock, or that the thing exists."""
        import pymysql  # type: ignore[import-untyped, unused-ignore]

        return any(
            error.args[0] in _COLLISIONS for error in errors if isinstance(error, pymysql.MySQLError) and error.args
        )

    def take_lock(self, client: Any, name: str) -> bool:
        """See `ServerSink`: a named lock of the server."""
        ((answer,),) = client.execute_sql("SELECT GET_LOCK(%s, 0)", _lock(name)) or ((0,),)
        return bool(answer)

    def holder(self, client: Any, name: str) -> str | None:
        """See `ServerSink`: the number of its connection."""
        ((holder,),) = client.execute_sql("SELECT IS_USED_LOCK(%s)", _lock(name))
        return None if holder is None else str(holder)

    def end_session(self, client: Any, session: str) -> None:
        """See `ServerSink`. Another run may have ended it in the same moment."""
        try:
            client.execute_sql("KILL %s", int(session))
        except DestinationException as error:
            if not any(one.args[:1] == (_NO_SUCH_THREAD,) for one in chain(error)):
                raise


def _lock(name: str) -> str:
    return f"nilus_{hashlib.sha256(name.encode()).hexdigest()[:48]}"


def _notice_dead_peer(connection: Any, _record: Any) -> None:
    """Let the system ask a silent server for a sign of life: PyMySQL leaves it at the system's two hours."""
    peer = mysql_socket(connection)
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def driver_url(address: str) -> str:
    """Return SQLAlchemy's URL of an address, with the driver we bring.

    Args:
        address: `mysql://` or `mariadb://`, a driver in the scheme or none.

    Raises:
        DestinationError: it lacks a user or a host, or cannot be read.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(f"mysql+pymysql://{address.partition('://')[2]}")
        missing = [part for part in ("username", "host") if not getattr(url, part)]
        if "unix_socket" in url.query and "host" in missing:
            missing.remove("host")
    except (ArgumentError, ValueError):
        missing = ["anything that can be read"]
    if missing:
        raise DestinationError(
            "The MySQL address is not complete",
            expected="mysql://user:password@host:3306/, special characters percent-encoded",
            found=f"an address without {', '.join(missing)}",
            remedy="complete sink.address, or name an Airflow connection: dataos://<connection id>",
        )
    return url.update_query_dict({"charset": url.query.get("charset", "utf8mb4")}).render_as_string(hide_password=False)
