"""A cache of folders that many processes share: look, lock, look again; staging, rename, marker; pruning.

::

    <root>/<key>/<content>/     what was made; read-only, or whatever its maker left it as
    <root>/<key>/marker.json    written last: without it there is no entry
    <root>/<key>/use.lock       locked (shared) by those who use the entry, exclusively by those who remove it
    <root>/locks/…              one of these is held while an entry is made or removed
    <root>/staging/…            what is being made, or taken apart

An entry is made once, whoever asks for it at the same time; it is checked at every use, made again when it
is broken, and never removed or replaced while somebody uses it. Lock files in `locks` are shared by the keys
that have the same hash: there is a fixed number of them, and none is ever deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from nilus.cache import file_tree
from nilus.cache import folder as cache_folder
from nilus.cache.file_lock import FileLock
from nilus.cache.staging import Staging, sweep
from nilus.errors import NilusError
from nilus.programs.deadline import Deadline

_FORMAT = 1
_MARKER = "marker.json"
_USE_LOCK = "use.lock"
_ENTRY = "entry"
_WAIT_SAID_AFTER = 1.0
_WAIT_SAID_EVERY = 30.0
# How long to wait for a broken entry: others may be looking at it at this moment.
_LOOKERS_SECONDS = 2.0

Make: TypeAlias = Callable[[Path, Staging], dict[str, Any]]
"""Fills an empty folder; returns what the entry's marker should remember, as JSON-able data.

The staging folder around it is for what the maker needs on the way and does not want to keep.
"""


@dataclass(frozen=True)
class Entry:
    """An entry in use: it stays where it is until it is released, or this process ends."""

    path: Path
    details: dict[str, Any]
    made: bool
    _release: Callable[[], None] = field(repr=False)

    def release(self) -> None:
        """Let the entry go; further calls do nothing."""
        self._release()

    def __enter__(self) -> Entry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class Cache:
    """One part of the cache directory.

    Args:
        root: its folder, named after what is in it and the version of its layout: `<cache_dir>/git-v1`.
        content: the name of the folder inside an entry that holds what was made.
        error: the kind of error to raise.
        log: where to say what is going on.
    """

    def __init__(self, root: Path, *, content: str, error: type[NilusError], log: logging.Logger) -> None:
        self.root = root
        self._content = content
        self._error = error
        self._log = log

    def look(self, key: str) -> Entry | None:
        """Return the entry if it is there and whole. Works in a cache one may not write.

        Args:
            key: one or two path segments, made of hashes.

        Raises:
            NilusError: the cache is not safe to use, or cannot be read.
        """
        # Without the key's lock an entry may be seen a moment before its marker: nothing to be alarmed about.
        return self._look(key, logging.DEBUG)

    def _look(self, key: str, level: int) -> Entry | None:
        with cache_folder.cache_errors(self._error, self.root):
            try:
                cache_folder.check(self.root, self._error)
                lock = FileLock(self.root / key / _USE_LOCK, create=False)
            except FileNotFoundError:
                return None
            entry = None
            try:
                entry = self._locked_look(key, lock, level)
            finally:
                if entry is None:
                    lock.release()
            return entry

    def _locked_look(self, key: str, lock: FileLock, level: int) -> Entry | None:
        if not (lock.try_acquire(shared=True) and lock.is_current()):
            return None
        folder = self.root / key
        problem, details = _health(folder / _MARKER, folder / self._content, key)
        if problem is not None:
            self._log.log(level, "The copy in %s is broken: %s. It is made again.", folder, problem)
            return None
        with contextlib.suppress(OSError):
            os.utime(folder / _MARKER)
        return Entry(folder / self._content, details, False, lock.release)

    def get(self, key: str, make: Make, *, what: str, deadline: Deadline) -> Entry:
        """Return the entry; make it if it is missing or broken.

        Args:
            key: one or two path segments, made of hashes.
            make: makes the content.
            what: what is made, for the log and for errors.
            deadline: how long to wait for another process that is making it.

        Raises:
            NilusError: the cache cannot be used, or another process did not finish in time.
        """
        entry = self.look(key)
        if entry is not None:
            return entry
        cache_folder.prepare(self.root, self._error)
        with cache_folder.cache_errors(self._error, self.root), self._making(key, what, deadline):
            entry = self._look(key, logging.WARNING)
            if entry is not None:
                return entry
            sweep(self.root / "staging", self._log)
            return self._make(key, make)

    @contextlib.contextmanager
    def _making(self, key: str, what: str, deadline: Deadline) -> Iterator[None]:
        lock = self._key_lock(key)
        try:
            if not lock.acquire(deadline, on_wait=self._wait_sayer(what)):
                raise self._error(
                    f"Another process is still making {what}, after {deadline.seconds:g} seconds.",
                    expected=f"the lock {lock.path} to be let go in time",
                    found="it is still held",
                    remedy="Give it a longer timeout, or look at what the other process is waiting for.",
                    retryable=True,
                )
            yield
        finally:
            lock.release()

    def _key_lock(self, key: str) -> FileLock:
        return FileLock(self.root / "locks" / f"{hashlib.sha256(key.encode()).hexdigest()[:3]}.lock")

    def _wait_sayer(self, what: str) -> Callable[[float], None]:
        next_at = _WAIT_SAID_AFTER

        def say(seconds: float) -> None:
            nonlocal next_at
            if seconds >= next_at:
                self._log.info("Waiting for another process that is making %s (%.0f s).", what, seconds)
                next_at = seconds + _WAIT_SAID_EVERY

        return say

    def _make(self, key: str, make: Make) -> Entry:
        staging = Staging(self.root / "staging")
        keep = False
        try:
            content = staging.folder / _ENTRY / self._content
            content.mkdir(parents=True, mode=0o700)
            details = make(content, staging)
            fingerprint = dataclasses.replace(file_tree.fingerprint(content), size=file_tree.disk_size(content))
            marker = {"format": _FORMAT, "key": key, "content": fingerprint.as_dict(), "details": details}
            entry = self._publish(key, staging, marker)
            if entry is None:
                keep = True
                self._log.warning("The broken copy %s is in use: this run keeps one of its own.", key)
                entry = Entry(content, details, True, lambda: staging.discard(self._log))
            return entry
        finally:
            if not keep:
                staging.discard(self._log)

    def _publish(self, key: str, staging: Staging, marker: dict[str, Any]) -> Entry | None:
        """Move a finished entry to its place; None if a broken one is there and in use."""
        made, place = staging.folder / _ENTRY, self.root / key
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            lock = FileLock(made / _USE_LOCK)
            try:
                lock.try_acquire(shared=True)
                made.rename(place)
            except OSError:
                lock.release()
                if not place.exists():
                    raise
            else:
                _write_marker(place, marker, staging.folder)
                return Entry(place / self._content, marker["details"], True, lock.release)
            # Somebody else's entry is there: on a disk whose locks do not work, another process was faster.
            winner = self.look(key)
            if winner is not None or not self._remove(key, Deadline(_LOOKERS_SECONDS)):
                return winner

    def _remove(self, key: str, deadline: Deadline) -> bool:
        """Remove an entry; False if somebody uses it. The caller holds the lock of its key."""
        place = self.root / key
        staging = Staging(self.root / "staging")
        lock = FileLock(place / _USE_LOCK)
        try:
            if not lock.acquire(deadline):
                return False
            place.rename(staging.folder / _ENTRY)
            return True
        finally:
            lock.release()
            staging.discard(self._log)

    def forget(self, key: str) -> bool:
        """Remove an entry unless somebody uses it; return whether it was removed.

        Raises:
            NilusError: the cache cannot be used.
        """
        with cache_folder.cache_errors(self._error, self.root):
            return self._remove_unused(key)

    def prune(self, max_bytes: int) -> None:
        """Remove entries that nobody uses, least recently used first, until the rest has room in `max_bytes`.

        It is a service to those who come later, so what goes wrong here is logged, not raised.
        """
        try:
            self._prune(max_bytes)
        except OSError as problem:
            self._log.warning("Could not prune the cache %s: %s", self.root, problem)

    def _prune(self, max_bytes: int) -> None:
        lock = FileLock(self.root / "locks" / "prune.lock")
        try:
            if not lock.try_acquire():
                return
            entries = sorted(self._entries())
            total = sum(size for _, size, _ in entries)
            for _, size, key in entries:
                if total <= max_bytes:
                    break
                if self._remove_unused(key):
                    total -= size
                    self._log.info("Removed %s from the cache (%.1f MB).", key, size / 1e6)
            if total > max_bytes:
                self._log.info(
                    "The cache %s holds %.1f MB, all of it in use; its limit is %.1f MB.",
                    self.root,
                    total / 1e6,
                    max_bytes / 1e6,
                )
        finally:
            lock.release()

    def _entries(self) -> Iterator[tuple[float, int, str]]:
        """Yield when each entry was last used, its size in bytes, and its key."""
        for pattern in (f"*/{_USE_LOCK}", f"*/*/{_USE_LOCK}"):
            for path in self.root.glob(pattern):
                folder = path.parent
                with contextlib.suppress(FileNotFoundError):
                    yield (*_use(folder), folder.relative_to(self.root).as_posix())

    def _remove_unused(self, key: str) -> bool:
        lock = self._key_lock(key)
        try:
            return lock.try_acquire() and (self.root / key).exists() and self._remove(key, Deadline(0))
        finally:
            lock.release()


def _health(marker: Path, content: Path, key: str) -> tuple[str | None, dict[str, Any]]:
    """Return what is wrong with an entry, in words, or None; and what its marker remembers."""
    try:
        document = json.loads(marker.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT or document["key"] != key:
            return "its marker is another entry's", {}
        expected = file_tree.Fingerprint(**document["content"])
        return expected.difference(file_tree.fingerprint(content)), document["details"]
    except FileNotFoundError as problem:
        return f"{problem.filename} is missing", {}
    except (ValueError, KeyError, TypeError):
        return "its marker cannot be read", {}


def _write_marker(folder: Path, marker: dict[str, Any], scratch: Path) -> None:
    draft = scratch / _MARKER
    with draft.open("w", encoding="utf-8") as file:
        json.dump(marker, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _MARKER)


def _use(folder: Path) -> tuple[float, int]:
    try:
        marker = folder / _MARKER
        return marker.stat().st_mtime, json.loads(marker.read_text(encoding="utf-8"))["content"]["size"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0.0, file_tree.fingerprint(folder).size
