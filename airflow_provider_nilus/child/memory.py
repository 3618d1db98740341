"""Memory of a child process: what it used, and what it was allowed."""

from __future__ import annotations

import re
import resource
import sys
import time
from pathlib import Path

_NO_LIMIT = 1 << 60  # cgroup v1 writes "no limit" as the largest page-aligned number


class PeakMemory:
    """The peak resident memory of one child process.

    The kernel's own figure for a child that has ended (`ru_maxrss`) starts from the memory of the process that
    forked it, exec or not. So it counts only when it is above that; below, the peak is the highest of the readings of
    `VmHWM`, which starts anew with exec, taken while the child ran. For the same reason this process's own `ru_maxrss`
    may be that of whoever forked it: what it hands on is its `VmHWM`.
    """

    def __init__(self) -> None:
        self._inherited = _high_water("self") or _maxrss(resource.getrusage(resource.RUSAGE_SELF))
        self._read: int | None = None
        self._last = 0.0

    def read(self, pid: int, *, pause: float = 0.0) -> None:
        """Take a reading of the running process; without a `/proc` there is none.

        Args:
            pid: the process.
            pause: do nothing if the last reading is not so many seconds old.
        """
        now = time.monotonic()
        if now < self._last + pause:
            return
        self._last = now
        if found := _high_water(pid):
            self._read = max(self._read or 0, found)

    def at_end(self, usage: resource.struct_rusage) -> int | None:
        """Return the peak in bytes of the ended child, or of one it waited for; None when it is not known."""
        final = _maxrss(usage)
        return final if final > self._inherited else self._read


def limit(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the memory limit in bytes that this process and its children share, or None.

    Args:
        membership: the file that names this process's control groups.
        root: where they are mounted, version 1 or 2.
    """
    try:
        entries = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return None
    limits = []
    for _, controllers, path in entries:
        if controllers == "":
            limits += _limits(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(root / "memory", path, "memory.limit_in_bytes")
    return min(limits, default=None)


def readable(size: int) -> str:
    """Return a number of bytes as people write it: `1.5 GiB`."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _limits(root: Path, path: str, name: str) -> list[int]:
    """Return the limits of a control group and of all above it. In a container the path may be the host's."""
    folder = root / path.lstrip("/")
    found = []
    for group in (folder, *folder.parents):
        if not group.is_relative_to(root):
            break
        try:
            text = (group / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _NO_LIMIT:
            found.append(int(text))
    return found


def _high_water(pid: int | str) -> int | None:
    """Return the most memory a running process has had since its exec, in bytes; None where there is no `/proc`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _maxrss(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
