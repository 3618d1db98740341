"""The right to write: a load's process has it until another attempt or run takes the load over.

A worker may be paused, be taken for dead, and wake up. Whoever settles its load first notes so in the load's row of the
journal; the worker looks at that row, in the sink, whenever it is about to change something there, and lands nothing
more when it has lost it. What a sink does so that looking and changing are one step is the sink's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dlt.common.destination.exceptions import DestinationTerminalException

from nilus.errors import DestinationError, NilusError, StateConflict


@dataclass
class Fence:
    """What this process is loading.

    Attributes:
        load_id: the load's id.
        state_key: whose it is.
        token: what its row of the journal says in `fence`; a load that was entered anew has another.
        holds: tells, through a SQL client, whether the locks that the load needs are still held.
    """

    load_id: str
    state_key: str
    token: str
    holds: Callable[[Any], bool]

    def check_lock(self, client: Any) -> None:
        """Refuse to go on if a lock was lost with the session that held it.

        Args:
            client: dlt's SQL client, connected.

        Raises:
            LoadStopped: one was.
        """
        if self.holds(client):
            return
        raise LoadStopped.of(
            DestinationError(
                "The lock on the staging tables was lost",
                expected="the session that holds it to last as long as the load",
                found="it has ended: a failover, an idle timeout, or a network that dropped it",
                remedy="nothing more was loaded; run the task again",
                retryable=True,
            )
        )

    def taken_over_by(self, by: str | None) -> LoadStopped:
        """Return what ends a load that belongs to somebody else by now.

        Args:
            by: who has it; None where that is not known any more.
        """
        return LoadStopped.of(
            StateConflict(
                f"Load {self.load_id} was taken over by {by or 'another attempt or run'}",
                expected="to be the only one that loads it: no attempt is given up while it runs",
                found="Airflow gave the task to another worker, which has settled this load; this one was paused, or "
                "cut off",
                remedy="nothing: this attempt landed nothing more, and the other goes on",
            )
        )


class LoadStopped(DestinationTerminalException):
    """Ends a load at once: dlt tries everything else several times. What it is raised from is said to the reader."""

    @classmethod
    def of(cls, error: NilusError) -> LoadStopped:
        """Return one that is raised from an error of ours."""
        stopped = cls(error.message)
        stopped.__cause__ = error
        return stopped


_writing: list[Fence] = []


@contextmanager
def writing(load_id: str, state_key: str, token: str, holds: Callable[[Any], bool]) -> Iterator[Fence]:
    """Let the sinks' clients look at the load's row before they change anything, for the time of the block.

    Args:
        load_id: of the load.
        state_key: whose it is.
        token: its fence.
        holds: tells whether the locks it needs are still held.
    """
    fence = Fence(load_id, state_key, token, holds)
    _writing.append(fence)
    try:
        yield fence
    finally:
        _writing.remove(fence)


def current() -> Fence | None:
    """Return what this process is loading; it loads one package at a time."""
    return _writing[-1] if _writing else None
