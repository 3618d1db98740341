"""What the child process asks of the kernel at its start: that no neighbour reads it, and that nothing leaves it.

Nothing but the standard library is imported here: this comes first.
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def hide_from_neighbours() -> None:
    """Close this process's memory and environment to other processes of its user, and have no core written.

    As Airflow does for its own tasks. Programs that this process starts are open again: exec undoes the first.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def inherit_orphans() -> None:
    """Become the parent of every descendant whose own parent ends: none is out of reach then."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    # A kernel that does not know the option, or forbids it, does no harm: the process is as it was.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
