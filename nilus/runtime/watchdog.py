"""The watchdog: ends a child process, and everything it started, when its parent is gone."""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
import time
from contextlib import suppress

from nilus.protocol.descendants import Descendants
from nilus.protocol.process_group import MARKER_VARIABLE, kill_strays

POLL_SECONDS = 0.25


class Watchdog:
    """Holds the pipe from the parent: delivers its lines, and takes its end for the parent's death.

    The parent is dead when nobody can write to the pipe any more, or when this process has another parent.
    Two watch for it. A thread of this process reads the pipe. It cannot act while other code keeps the
    interpreter lock (a long call into a C library), so a guard, a small process forked before anything is
    imported, waits on the same pipe and needs nobody's lock. Either kills the whole process group.

    The guard belongs to the session of this process but to a group of its own: signals to the group do not
    reach it, and while it lives the kernel gives the group's number to no one else. `PR_SET_PDEATHSIG` would
    not do: it ends this process alone, and with it the thread that could have ended the rest.

    Args:
        fd: reading end of the pipe from the parent; no one else may read it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._parent = os.getppid()
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._exit_at: tuple[float, int] | None = None

    def start(self) -> None:
        """Make this process the leader of its group and begin to watch; call it before other threads run."""
        if os.getpgrp() != os.getpid():
            os.setsid()
        self._fork_guard()
        threading.Thread(target=self._watch, name="nilus-watchdog", daemon=True).start()

    def line(self, timeout: float | None) -> bytes:
        """Return the next line the parent wrote, without its newline.

        Args:
            timeout: seconds to wait; None waits as long as the parent lives.

        Raises:
            queue.Empty: nothing came within the timeout.
        """
        return self._lines.get(timeout=timeout)

    def exit_within(self, seconds: float, code: int) -> None:
        """Make the process exit with `code` after this time, whatever its other threads do."""
        self._exit_at = (time.monotonic() + seconds, code)

    def _fork_guard(self) -> None:
        group = os.getpgrp()
        between = os.fork()
        if between:
            os.waitpid(between, 0)
            return
        try:
            # Forked twice, so that code which waits for its own children never meets the guard.
            if os.fork() == 0:
                _guard(self._fd, group)
        finally:
            os._exit(0)

    def _watch(self) -> None:
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        rest = bytearray()
        while os.getppid() == self._parent:
            if self._exit_at is not None and time.monotonic() >= self._exit_at[0]:
                os._exit(self._exit_at[1])
            ready = poller.poll(POLL_SECONDS * 1000)
            if not ready:
                continue
            if ready[0][1] & select.POLLNVAL:  # the source closed descriptors that are not its own
                poller.unregister(self._fd)
                continue
            data = os.read(self._fd, 1 << 16)
            if not data:
                break
            *ends, tail = data.split(b"\n")
            for end in ends:
                self._lines.put(bytes(rest) + end)
                rest.clear()
            rest += tail
        Descendants(os.getpid(), spared_group=os.getpgrp()).kill()
        os.killpg(0, signal.SIGKILL)


def _guard(fd: int, group: int) -> None:
    os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Whoever reads this child's output must see its end when the child ends, not when the guard does.
    os.closerange(0, fd)
    os.closerange(fd + 1, 1024)
    poller = select.poll()
    poller.register(fd, 0)
    poller.poll()
    family = Descendants(group)
    family.look()  # while its head lives
    with suppress(OSError):
        os.killpg(group, signal.SIGKILL)
    family.kill()
    marker = os.environ.get(MARKER_VARIABLE)
    if marker:
        kill_strays(marker)
