"""The supervisor: Airflow's process beside the task's own, which reports to the server for it."""

from __future__ import annotations

import select
from typing import Any

from airflow_provider_nilus.task.internals import supervisor_socket


class Supervisor:
    """Tells whether the supervisor of this task is still there.

    A task's process does not notice by itself that its supervisor was killed: it finds out when it next asks for
    something. Until then it would go on loading, while Airflow, which hears no heartbeat any more, starts the task a
    second time. The end of the socket between the two tells at once.
    """

    def __init__(self) -> None:
        self._poller: Any = None
        end = supervisor_socket()
        if end is not None:
            self._poller = select.poll()
            self._poller.register(end.fileno(), 0)  # an end that was hung up is always reported

    def is_gone(self) -> bool:
        """Tell whether the supervisor has ended. A task without one (`DAG.test()`, a plain script) never lost it."""
        if self._poller is None:
            return False
        return any(what & (select.POLLHUP | select.POLLERR) for _, what in self._poller.poll(0))
