"""A process group of our own: started with its leader, and ended whole."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from nilus.protocol.process_group import members

_POLL_SECONDS = 0.02
_KILLED_SECONDS = 2.0
_FOLLOW_SECONDS = 0.3


class ProcessGroup:
    """A process that leads a session and a process group, and everything in that group.

    The leader is not waited for before the group has been dealt with. Until then the kernel keeps its number, so
    that a signal to the group never reaches strangers.

    Args:
        grace_seconds: time between SIGTERM and SIGKILL.
    """

    def __init__(self, grace_seconds: float) -> None:
        self._grace = grace_seconds
        self._started: list[subprocess.Popen[bytes]] = []
        # Taken by signal handlers too: the thread they interrupt may hold it.
        self._lock = threading.RLock()
        self._reaped = False
        self._kill_at: float | None = None
        self.returncode: int | None = None
        self.usage: resource.struct_rusage | None = None

    @property
    def pid(self) -> int | None:
        """The leader's id, None before the start."""
        return getattr(self._started[0], "pid", None) if self._started else None

    def start(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        folder: str,
        stdio: Sequence[int],
        keep_open: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start the leader. An exception that a signal handler raises meanwhile leaves it known here.

        Args:
            command: the argument list.
            environ: its whole environment.
            folder: its working directory.
            stdio: descriptors that become 0, 1 and 2, or `subprocess.PIPE` and `subprocess.DEVNULL` in their places.
            keep_open: more descriptors it keeps, under the same numbers.

        Raises:
            OSError: it cannot be started.
        """
        try:
            return _TrackedPopen(
                self._started,
                command,
                env=environ,
                cwd=folder,
                stdin=stdio[0],
                stdout=stdio[1],
                stderr=stdio[2],
                pass_fds=tuple(keep_open),
                start_new_session=True,
            )
        except OSError:  # Popen has waited for it already
            self._started.clear()
            raise

    def adopt(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Take a leader that something else has started, in a session of its own, and nobody has waited for."""
        self._started.append(process)
        return process

    def has_ended(self) -> bool:
        """Tell whether the leader has ended, without taking its exit status."""
        with self._lock:
            return self.pid is not None and (self._reaped or _has_ended(self.pid))

    def stragglers(self) -> int:
        """Return how many processes outlive the ended leader; those that follow it at once do not count."""
        until = time.monotonic() + _FOLLOW_SECONDS
        while self.has_ended() and self._members() and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        return len(self._members()) if self.has_ended() else 0

    def terminate(self) -> None:
        """Send SIGTERM, wait until the group is empty or the grace is over, send SIGKILL.

        May be called at any time, from any thread and from a signal handler; later calls wait for the same moment.
        """
        if self._kill_at is None and self._alive():
            self._kill_at = time.monotonic() + self._grace
            self._send(signal.SIGTERM)
        while self._alive() and self._kill_at is not None and time.monotonic() < self._kill_at:
            time.sleep(_POLL_SECONDS)
        self._send(signal.SIGKILL)
        until = time.monotonic() + _KILLED_SECONDS
        while self._alive() and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)

    def end(self) -> None:
        """Terminate what is left of the group, and take the leader's exit status and usage."""
        try:
            self.terminate()
        finally:
            self._send(signal.SIGKILL)
            self._reap()

    def _alive(self) -> bool:
        return self.pid is not None and (not self.has_ended() or bool(self._members()))

    def _members(self) -> list[int]:
        with self._lock:
            return [] if self.pid is None or self._reaped else members(self.pid)

    def _send(self, number: int) -> None:
        with self._lock, suppress(ProcessLookupError, PermissionError):
            if self.pid is None or self._reaped:
                return
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:  # just forked, and not yet the leader of its group
                os.kill(self.pid, number)

    def _reap(self) -> None:
        until = time.monotonic() + _KILLED_SECONDS
        while self.pid is not None and not self._take_status() and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)

    def _take_status(self) -> bool:
        with self._lock:
            if self._reaped or self.pid is None:
                return True
            try:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            except ChildProcessError:  # the worker ignores SIGCHLD: the kernel has thrown the status away
                self._reaped = True
                return True
            if pid:
                self._reaped = True
                self.usage = usage
                self.returncode = self._started[0].returncode = os.waitstatus_to_exitcode(status)
            return self._reaped


class _TrackedPopen(subprocess.Popen[bytes]):
    """A Popen that is known before it starts: whatever interrupts its construction, its id is not lost."""

    def __init__(self, known: list[subprocess.Popen[bytes]], *arguments: Any, **options: Any) -> None:
        known.append(self)
        super().__init__(*arguments, **options)


def _has_ended(pid: int) -> bool:
    if hasattr(os, "waitid"):
        try:
            return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True
    import psutil  # type: ignore[import-untyped]  # macOS before Python 3.13; a dependency of Airflow

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
