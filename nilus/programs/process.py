"""One program: started with the environment it is given, read within bounds, ended with all it started."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from nilus.programs.deadline import Deadline
from nilus.programs.process_group import ProcessGroup

_MAX_OUTPUT = 64 * 2**20
# What went wrong stands at the beginning of what a program prints, and its last words at the end.
_ERRORS_START = 16 * 2**10
_ERRORS_END = 48 * 2**10
_CHUNK = 64 * 2**10
_GRACE_SECONDS = 2.0
_TICK_SECONDS = 0.1
_LEFT_OUT = b"\n...\n"


@dataclass(frozen=True)
class Result:
    """How a program ended and what it printed. `timed_out` and `flooded` tell that we ended it."""

    status: int
    output: bytes
    errors: str
    timed_out: bool
    flooded: bool


class Start(Protocol):
    """Starts a program as the leader of a session, with pipes for its output and nothing to read."""

    def __call__(
        self,
        group: ProcessGroup,
        arguments: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        keep_open: Sequence[int],
    ) -> subprocess.Popen[bytes]: ...


def start(
    group: ProcessGroup,
    arguments: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    keep_open: Sequence[int],
) -> subprocess.Popen[bytes]:
    """Start a program by `subprocess`.

    Raises:
        OSError: it cannot be started.
    """
    stdio = (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)
    return group.start(arguments, environ=environ, folder=str(folder), stdio=stdio, keep_open=keep_open)


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    deadline: Deadline,
    keep_open: Sequence[int] = (),
    start: Start = start,
) -> Result:
    """Run a program and wait for it.

    Args:
        arguments: the program and its arguments; no secret among them.
        folder: its working directory.
        environ: all of its environment.
        deadline: when it and everything it has started is killed.
        keep_open: file descriptors it inherits.
        start: what starts it.

    Raises:
        OSError: it could not be started.
    """
    group = ProcessGroup(_GRACE_SECONDS)
    readers: tuple[_Reader, ...] = ()
    try:
        process = start(group, arguments, folder=folder, environ=environ, keep_open=keep_open)
        output = _Reader(process.stdout, _MAX_OUTPUT)
        errors = _Reader(process.stderr, _ERRORS_START, _ERRORS_END)
        readers = (output, errors)
        try:
            for reader in readers:
                reader.start()
        except RuntimeError as problem:  # a limit of processes is one of threads too
            raise OSError(errno.EAGAIN, str(problem)) from None
        while not (group.has_ended() or deadline.is_over):
            if _join(readers, min(_TICK_SECONDS, deadline.seconds_left)):
                time.sleep(0.001)
        timed_out = not group.has_ended()
    finally:
        group.end()
        _join(readers, _GRACE_SECONDS)
        for reader in readers:
            reader.close()
    return Result(
        # A worker that ignores SIGCHLD never learns it.
        status=group.returncode or 0,
        output=output.data(),
        errors=errors.data().decode("utf-8", "backslashreplace"),
        timed_out=timed_out,
        flooded=output.full,
    )


def _join(readers: Sequence[_Reader], seconds: float) -> bool:
    """Wait a moment for the pipes to end, as they do when the last process that has them is gone."""
    moment = Deadline(seconds)
    for reader in readers:
        if reader.ident is not None:
            reader.join(moment.seconds_left)
    return not any(reader.is_alive() for reader in readers)


class _Reader(threading.Thread):
    """Reads a pipe to its end, and keeps its beginning and its end; without room for an end it closes the pipe."""

    def __init__(self, pipe: IO[bytes] | None, start: int, end: int = 0) -> None:
        super().__init__(daemon=True)
        if pipe is None:
            raise ValueError("the program was started without its pipes")
        self.full = False
        self._pipe = pipe
        self._start, self._start_size = bytearray(), start
        self._end, self._end_size = bytearray(), end

    def run(self) -> None:
        # The pipe is closed under us when the process was given up.
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), _CHUNK):
                room = self._start_size - len(self._start)
                self._start += chunk[:room]
                self._end += chunk[room:]
                if len(self._end) > self._end_size:
                    self.full = True
                    if not self._end_size:
                        self._pipe.close()
                        return
                    del self._end[: -self._end_size]

    def data(self) -> bytes:
        """Return what was kept."""
        return bytes(self._start + (_LEFT_OUT if self.full and self._end_size else b"") + self._end)

    def close(self) -> None:
        """Close the pipe, unless somebody still writes to it and it is being read."""
        if not self.is_alive():
            self._pipe.close()
