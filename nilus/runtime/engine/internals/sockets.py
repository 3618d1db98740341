"""The sockets of database drivers."""

from __future__ import annotations

import socket
from typing import Any


def mysql_socket(connection: Any) -> socket.socket | None:
    """Return the socket of a connection of PyMySQL (1.1 to 1.2), which has no option for keepalives."""
    return getattr(connection, "_sock", None)
