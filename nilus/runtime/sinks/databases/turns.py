"""Turns at a file that takes one writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nilus.errors import DestinationError
from nilus.runtime.sinks.databases.waiting import wait_for


@contextmanager
def turn(path: Path, kind: str, *, remedy: str) -> Iterator[None]:
    """Hold the lock file beside a database for the time of the block; it goes with the process that held it.

    Args:
        path: the database.
        kind: what it is, for messages.
        remedy: what to do where the lock does not become free.

    Raises:
        DestinationError: it did not become free, or the lock file cannot be opened.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock", thread_local=False)

    def is_taken() -> bool:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise unusable(path, kind, f"{lock.lock_file}: {error.strerror}") from error
        return True

    wait_for(is_taken, f"another run that writes to {path}", remedy=remedy)
    try:
        yield
    finally:
        lock.release()


def unusable(path: Path, kind: str, found: str) -> DestinationError:
    """Return the error for a database file that cannot be opened.

    Args:
        path: the file.
        kind: what it should be.
        found: what opening it said.
    """
    return DestinationError(
        f"The {kind} file {path} cannot be opened",
        expected=f"a {kind} database that this worker may write to, or no file yet",
        found=found,
        remedy="correct the address, the file or its rights",
    )


def make_folder(path: Path, kind: str) -> None:
    """Make the folder of a database file if it is missing.

    Raises:
        DestinationError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(
            f"The folder of the {kind} file cannot be made: {error.strerror}",
            expected="a folder this worker may write to",
            found=str(path.parent),
            remedy="correct the address or the folder's rights",
        ) from error
