"""One git process: started with an environment made from nothing, read within bounds, ended with all it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nilus.errors import RepositoryError
from nilus.programs.deadline import Deadline

if TYPE_CHECKING:
    from git.cmd import Git

    AutoInterrupt = Git.AutoInterrupt

_MAX_OUTPUT = 64 * 2**20
_KEPT_ERRORS = 64 * 2**10
_CHUNK = 64 * 2**10
_GRACE_SECONDS = 2.0

NO_GIT = (
    "Install the Debian package git in the image the workers run: on Astro add a line git to packages.txt, in a "
    "Dockerfile of your own run apt-get install git. Cloud Composer takes no packages of the system: choose an image "
    "version that has a newer git, or run the task in a pod with an image of your own."
)


@dataclass(frozen=True)
class Result:
    """How a git process ended and what it printed. `timed_out` and `flooded` tell that we ended it."""

    status: int
    output: bytes
    errors: str
    timed_out: bool
    flooded: bool


def find_git() -> str:
    """Return the path of the git program.

    Raises:
        RepositoryError: there is none on the PATH.
    """
    path = shutil.which("git")
    if path is None:
        raise RepositoryError(
            "There is no git on this machine.",
            expected="the program git on the PATH of the worker",
            found=f"PATH={os.environ.get('PATH', '')}",
            remedy=NO_GIT,
        )
    return path


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    deadline: Deadline,
    keep_open: Sequence[int] = (),
) -> Result:
    """Run git and wait for it.

    Args:
        arguments: the program and its arguments; no secret among them.
        folder: its working directory.
        environ: all of its environment.
        deadline: when it and everything it has started is killed.
        keep_open: file descriptors it inherits.

    Raises:
        RepositoryError: git could not be started.
    """
    handle = _start([*_without_our_environment(environ), *arguments], folder, environ, keep_open)
    process = handle.proc
    if process is None or process.stdout is None or process.stderr is None:
        raise RepositoryError("GitPython started git without its pipes.", remedy="Report this as a bug.")
    output, errors = _Reader(process.stdout, _MAX_OUTPUT), _Reader(process.stderr, _KEPT_ERRORS, tail=True)
    readers = (output, errors)
    ended = False
    try:
        for reader in readers:
            reader.start()
        # Popen.wait polls; the end of the pipes is known at once.
        while process.returncode is None and not deadline.passed and not _join(readers, deadline):
            process.poll()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(deadline.left)
            ended = True
    finally:
        if not ended:
            _end(process, readers)
        elif not _join(readers):
            # git has ended, a helper it started has not.
            _signal(process, signal.SIGKILL)
            _join(readers)
    return Result(
        status=process.returncode,
        output=bytes(output.data),
        errors=errors.data.decode("utf-8", "backslashreplace"),
        timed_out=not ended,
        flooded=output.full,
    )


def _end(process: subprocess.Popen[bytes], readers: Sequence[_Reader]) -> None:
    """End the process and its group: politely, then not. Its number is free for others only when it is waited for."""
    _signal(process, signal.SIGTERM)
    _join(readers)
    _signal(process, signal.SIGKILL)
    process.wait()
    _join(readers)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _join(readers: Sequence[_Reader], deadline: Deadline | None = None) -> bool:
    """Wait a moment for the pipes to end: they do when the last process that has them is gone."""
    moment = Deadline(min(_GRACE_SECONDS, deadline.left if deadline else _GRACE_SECONDS))
    for reader in readers:
        reader.join(moment.left)
    return not any(reader.is_alive() for reader in readers)


def _without_our_environment(environ: Mapping[str, str]) -> list[str]:
    """Return a command that starts another one with nothing of our environment but what `environ` replaces.

    GitPython lays an environment over this process's own and can take nothing away; env(1) can. Its arguments are
    names only.
    """
    env = shutil.which("env")
    if env is None:
        raise RepositoryError(
            "There is no env on this machine.",
            expected="the program env (of coreutils or busybox) on the PATH of the worker",
            found=f"PATH={os.environ.get('PATH', '')}",
            remedy="Install the Debian package coreutils.",
        )
    # The last two are GitPython's own.
    names = (os.environ.keys() | {"LANGUAGE", "LC_ALL"}) - environ.keys()
    return [env, *(part for name in sorted(names) for part in ("-u", name))]


def _start(command: Sequence[str], folder: Path, environ: Mapping[str, str], keep_open: Sequence[int]) -> AutoInterrupt:
    try:
        from git.cmd import Git
        from git.exc import GitCommandError, GitCommandNotFound
    except ImportError as problem:
        # GitPython looks for git when it is imported.
        raise RepositoryError(
            "GitPython does not find git.",
            expected="a git it can run",
            found=str(problem).strip().partition("\n")[0],
            remedy="Unset GIT_PYTHON_GIT_EXECUTABLE and GIT_PYTHON_REFRESH, or correct them.",
        ) from None
    try:
        return Git(folder).execute(
            list(command),
            as_process=True,
            shell=False,
            env=environ,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
    except (GitCommandError, GitCommandNotFound, OSError) as problem:
        raise RepositoryError(
            "git could not be started.",
            found=type(problem).__name__,
            remedy=NO_GIT,
            retryable=True,
        ) from None


class _Reader(threading.Thread):
    """Reads a pipe to its end. Keeps its tail, or its beginning: then it closes the pipe at the limit."""

    def __init__(self, pipe: IO[bytes], limit: int, *, tail: bool = False) -> None:
        super().__init__(daemon=True)
        self.data = bytearray()
        self.full = False
        self._pipe = pipe
        self._limit = limit
        self._tail = tail

    def run(self) -> None:
        # The pipe is closed under us when the process was given up.
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), _CHUNK):
                self.data += chunk
                if len(self.data) > self._limit:
                    self.full = True
                    if not self._tail:
                        self._pipe.close()
                        return
                    del self.data[: -self._limit]
