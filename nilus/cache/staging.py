"""Staging: private folders in which things are made before others can see them, and taken apart in the end.

Each is locked for as long as its maker, or a program the maker has started with `fd`, lives. One that is not
locked belongs to nobody any more, and whoever comes next removes it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from pathlib import Path

from nilus.cache import file_tree
from nilus.cache.file_lock import FileLock

_LOCK = "lock"
# A folder without a lock file is one between two steps of its maker, or one whose maker died there.
_YOUNG_SECONDS = 600.0


class Staging:
    """A new private folder below `root`.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        while True:
            self.folder = root / secrets.token_hex(8)
            self.folder.mkdir(mode=0o700)
            self._lock = FileLock(self.folder / _LOCK)
            # Between these two lines a sweep may have taken it for a dead one.
            if self._lock.try_acquire() and self._lock.is_current():
                return
            self._lock.release()

    @property
    def fd(self) -> int:
        """The lock's open file, for programs that work in the folder to inherit."""
        return self._lock.fd

    def discard(self, log: logging.Logger) -> None:
        """Remove the folder. What cannot be removed stays for the next sweep, and the log says so."""
        try:
            file_tree.remove(self.folder)
        except OSError as problem:
            log.warning("Could not remove %s: %s", self.folder, problem)
        finally:
            self._lock.release()


def sweep(root: Path, log: logging.Logger) -> int:
    """Remove the staging folders whose makers are gone; return how many."""
    removed = 0
    with contextlib.suppress(FileNotFoundError):
        for folder in list(root.iterdir()):
            try:
                removed += _remove_if_dead(folder)
            except OSError as problem:
                log.warning("Could not remove %s, which an ended process left: %s", folder, problem)
    if removed:
        log.info("Removed %d unfinished folders that ended processes had left in %s.", removed, root)
    return removed


def _remove_if_dead(folder: Path) -> bool:
    try:
        lock = FileLock(folder / _LOCK, create=False)
    except FileNotFoundError:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                file_tree.remove(folder)
                return True
        return False
    try:
        if not (lock.try_acquire() and lock.is_current()):
            return False
        file_tree.remove(folder)
        return True
    finally:
        lock.release()
