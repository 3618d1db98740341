"""The folder a child works in: private, gone with its run, and swept by the next one if the run was killed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

_PREFIX = "nilus-run-"
_TRIES = 10


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """Give an empty folder of mode 0700, which is removed afterwards; first sweep those that killed runs have left.

    Rows lie there in clear while a run loads them. Who works in a folder holds a lock (flock) on it, which the kernel
    takes back from a process that was killed, whatever container it was in.

    Raises:
        OSError: there is no place for temporary files.
    """
    sweep()
    path, held = _make()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def sweep() -> None:
    """Remove this user's folders of which the process is gone; what cannot be removed stays."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            held = _lock(path)
            if held is None:
                continue
            try:
                shutil.rmtree(path, ignore_errors=True)
                log.info("Removed the work folder %s, which a killed run has left", path)
            finally:
                os.close(held)


def _make() -> tuple[Path, int]:
    for _ in range(_TRIES):
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Another run may have taken it for a folder that was left, in the moment before it was locked.
        with contextlib.suppress(OSError):
            held = _lock(path)
            if held is not None and path.exists():
                return path, held
    raise OSError(f"no folder could be made and locked in {tempfile.gettempdir()}")


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a folder of this user's; None if another process does.

    Raises:
        OSError: it is not such a folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError(f"{path} is another user's")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
