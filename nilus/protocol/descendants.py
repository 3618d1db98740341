"""What a process has started, and what that has started: found by their parents, whatever they did to their ids.

A process whose parent has ended belongs to the nearest ancestor that is a subreaper, which the child process is
(`nilus.runtime.confinement`): so nothing leaves its family while it lives, and what was seen of it is known afterwards
by number and start. Works where there is a `/proc`, that is on Linux; elsewhere nothing is found.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_ROUNDS = 50
_PAUSE_SECONDS = 0.01


class _Process(NamedTuple):
    parent: int
    group: int
    started: bytes


class Descendants:
    """The family of one process, as far as it was seen.

    Args:
        root: its head, which is not of them.
        spared_group: members of this process group are not of them either; None for none.
    """

    def __init__(self, root: int, spared_group: int | None = None) -> None:
        self._root = root
        self._spared_group = spared_group
        self._seen: dict[int, bytes] = {}
        self._looked = 0.0

    def look(self, *, pause: float = 0.0) -> None:
        """See who is there now.

        Args:
            pause: do nothing if the last look is not so many seconds ago.
        """
        if pause and time.monotonic() < self._looked + pause:
            return
        self._looked = time.monotonic()
        self._see(dict(_processes()))

    def kill(self) -> int:
        """Kill them all, also those that they start meanwhile, as long as the head lives to inherit them.

        Returns:
            How many processes were killed.
        """
        killed: set[int] = set()
        for _ in range(_ROUNDS):
            now = dict(_processes())
            self._see(now)
            living = self._living(now)
            if not living:
                break
            killed.update(pid for pid in living if _kill(pid, self._seen[pid]))
            time.sleep(_PAUSE_SECONDS)
        return len(killed)

    def _living(self, now: dict[int, _Process]) -> list[int]:
        return [pid for pid, started in self._seen.items() if pid in now and now[pid].started == started]

    def _see(self, now: dict[int, _Process]) -> None:
        children: dict[int, list[int]] = {}
        for pid, process in now.items():
            children.setdefault(process.parent, []).append(pid)
        todo, found = [self._root, *self._living(now)], {}
        while todo:
            for pid in children.get(todo.pop(), ()):
                if pid not in found and pid != os.getpid():
                    found[pid] = now[pid]
                    todo.append(pid)
        # Replaced, not changed: a signal handler may be looking as well.
        new = {pid: one.started for pid, one in found.items() if one.group != self._spared_group}
        self._seen = {**self._seen, **new}


def _processes() -> Iterator[tuple[int, _Process]]:
    """Yield the processes that run; a zombie does not."""
    try:
        names = [entry.name for entry in os.scandir(_PROC)]
    except OSError:
        return
    for name in names:
        if name.isdigit() and (process := _read(int(name))) is not None:
            yield int(name), process


def _read(pid: int) -> _Process | None:
    try:
        status = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # Behind the name, which may hold anything: state, parent, group, …, and the start as the twenty-second field.
    fields = status.rpartition(b") ")[2].split()
    return None if len(fields) < 20 or fields[0] in b"ZX" else _Process(int(fields[1]), int(fields[2]), fields[19])


def _kill(pid: int, started: bytes) -> bool:
    """Kill just this process: its descriptor stays true when its number is used again."""
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            process = _read(pid)
            if process is not None and process.started == started:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return True
        finally:
            os.close(handle)
    return False
