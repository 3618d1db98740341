"""The supervisor: Airflow's process beside the task's own, which reports to the server for it."""

from __future__ import annotations

import select
import socket
from typing import Any


class Supervisor:
    """Tells whether the supervisor of this task is still there.

    A task's process does not notice by itself that its supervisor was killed: it finds out when it next asks for
    something. Until then it would go on loading, while Airflow, which hears no heartbeat any more, starts the task a
    second time. The end of the socket between the two tells at once.
    """

    def __init__(self) -> None:
        self._poller: Any = None
        end = _socket()
        if end is not None:
            self._poller = select.poll()
            self._poller.register(end.fileno(), 0)  # an end that was hung up is always reported

    def is_gone(self) -> bool:
        """Tell whether the supervisor has ended. A task without one (`DAG.test()`, a plain script) never lost it."""
        if self._poller is None:
            return False
        return any(what & (select.POLLHUP | select.POLLERR) for _, what in self._poller.poll(0))


def _socket() -> socket.socket | None:
    """Return this process's end of the socket; None where tasks run without a supervisor of their own."""
    from airflow.sdk.execution_time import task_runner

    end = getattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "socket", None)
    return end if isinstance(end, socket.socket) and end.fileno() >= 0 else None
