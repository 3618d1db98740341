"""Advisory locks on files (`flock`), between processes and between threads.

A lock ends with the process that holds it, however that process ends. A lock file is never deleted or
replaced while others may be about to lock it: two of them would then hold "the" lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from nilus.programs.deadline import Deadline

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25


class FileLock:
    """A lock file that is open, and locked or not.

    Each object has its own open file, so two objects exclude each other inside one process too.

    Args:
        path: the lock file.
        create: make the file if it is missing. Without it the file is opened for reading only, which is
            enough for a shared lock and works in a folder one may not write.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT if create else os.O_RDONLY
        self._fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    @property
    def fd(self) -> int:
        """The open file: a child process that inherits it keeps the lock for as long as it lives."""
        return self._fd

    def is_current(self) -> bool:
        """Whether the path still leads to the file that is open here."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return False
        opened = os.fstat(self._fd)
        return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if that is possible at once.

        Raises:
            OSError: the file system knows no such locks.
        """
        operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._fd, operation | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def acquire(
        self, deadline: Deadline, *, shared: bool = False, on_wait: Callable[[float], None] | None = None
    ) -> bool:
        """Wait for the lock until the deadline.

        Args:
            deadline: when to give up.
            shared: whether others may hold it at the same time.
            on_wait: is told the seconds waited, after every try that failed.

        Returns:
            Whether the lock was got.
        """
        waited = Deadline(deadline.seconds_left)
        pause = _FIRST_PAUSE
        while not self.try_acquire(shared=shared):
            if on_wait is not None:
                on_wait(waited.seconds_elapsed)
            if deadline.is_over:
                return False
            time.sleep(min(deadline.seconds_left, pause * random.uniform(0.5, 1.0)))  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE)
        return True

    def release(self) -> None:
        """Let the lock go and close the file; further calls do nothing."""
        if self._fd >= 0:
            # A forked process may have a copy of the open file: closing ours alone would free nothing.
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = -1
