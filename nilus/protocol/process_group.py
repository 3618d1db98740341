"""The process group: everything one child process started, and how to end it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARKER_VARIABLE = "NILUS_CHILD_ID"
"""Set in a child's environment to a value no other run has: it finds descendants that left the session."""

_PROC = Path("/proc")


def members(group: int) -> list[int]:
    """Return the ids of the processes in a process group that still run (a zombie does not).

    Without a `/proc` (macOS) the answer is only whether there are any: the group's id stands for all of them.
    """
    if not (_PROC / "self").exists():
        try:
            os.killpg(group, 0)
        except OSError:
            return []
        return [group]
    return [pid for pid in _processes() if _group_of(pid) == group and _runs(pid)]


def kill_strays(marker: str) -> int:
    """Kill the processes whose environment names `marker`, whatever session they moved to.

    Works where `/proc/<pid>/environ` can be read, that is on Linux, for processes of the same user; elsewhere
    it finds nothing. A process that has also cleared its environment is not found. The caller is spared.

    Returns:
        How many processes were killed.
    """
    killed = 0
    wanted = f"{MARKER_VARIABLE}={marker}".encode()
    for pid in _processes():
        if pid != os.getpid() and _carries(pid, wanted):
            killed += _kill_if(pid, wanted)
    return killed


def _processes() -> Iterator[int]:
    try:
        names = [entry.name for entry in _PROC.iterdir()]
    except OSError:
        return
    yield from (int(name) for name in names if name.isdigit())


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _runs(pid: int) -> bool:
    try:
        status = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b") ")[2][:1] not in (b"Z", b"X")


def _carries(pid: int, wanted: bytes) -> bool:
    try:
        return wanted in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill_if(pid: int, wanted: bytes) -> bool:
    """Kill just the process that carries the marker: its descriptor stays true when its id is used again."""
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if _carries(pid, wanted):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return True
        finally:
            os.close(handle)
    return False
