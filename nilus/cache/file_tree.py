"""A folder with everything in it: its fingerprint, its links, its permissions, its end."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

_BLOCK = 512
_NAME = attrgetter("name")

LONGEST_PATH = 1024
"""Bytes of a path inside a folder: beyond, a cache that lies deep would not take it (the system takes 4,096)."""
LONGEST_NAME = 255
"""Bytes of one name: what Linux file systems take."""


@dataclass(frozen=True)
class Fingerprint:
    """What a folder holds, as far as names, kinds, sizes and times tell; no file is read.

    `files` counts everything that is not a folder; `size` is the room it takes on the disk, in bytes.
    """

    files: int
    size: int
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)

    def difference(self, found: Fingerprint) -> str | None:
        """Say in one sentence how `found` differs, or None if it does not."""
        if found.files < self.files:
            return f"{self.files - found.files} of its {self.files} files are missing"
        if found.files > self.files:
            return f"it has {found.files - self.files} files more than were put there"
        if found.digest != self.digest:
            return "some of its files were changed"
        return None


def fingerprint(folder: Path) -> Fingerprint:
    """Take the fingerprint of a folder.

    Times count in whole seconds: images and archives keep no more, and a cache may come out of one.

    Raises:
        OSError: the folder, or one inside it, is missing or cannot be listed.
    """
    digest = hashlib.sha256()
    files = size = 0
    for name, entry in _walk(folder):
        status = entry.stat(follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        size += status.st_blocks * _BLOCK
        fields: list[str | int] = [name, kind]
        if kind == stat.S_IFLNK:
            fields.append(str(Path(entry.path).readlink()))
        elif kind != stat.S_IFDIR:
            fields += [status.st_size, int(status.st_mtime)]
        files += kind != stat.S_IFDIR
        digest.update(repr(fields).encode("utf-8", "surrogateescape"))
    return Fingerprint(files=files, size=size, digest=digest.hexdigest())


def disk_size(folder: Path) -> int:
    """Return the room a folder takes on the disk, byte code included; in bytes."""
    return sum(entry.stat(follow_symlinks=False).st_blocks * _BLOCK for _, entry in _walk(folder))


def _walk(folder: Path | str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything in a folder. A loop: a tree may be deeper than Python's stack."""
    pending: list[tuple[Path | str, str]] = [(folder, "")]
    while pending:
        path, prefix = pending.pop()
        with os.scandir(path) as found:
            entries = sorted(found, key=_NAME)
        for entry in entries:
            yield prefix + entry.name, entry
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, prefix + entry.name + "/"))


def is_too_long(path: str) -> bool:
    """Whether a relative path is longer than we write."""
    return len(os.fsencode(path)) > LONGEST_PATH or any(
        len(os.fsencode(name)) > LONGEST_NAME for name in path.split("/")
    )


def outward_link(folder: Path) -> tuple[str, str] | None:
    """Find a symbolic link that leads out of the folder.

    An absolute link always counts as one: where the folder lies is nothing its content can know.

    Returns:
        The link's path inside the folder and its target, or None.
    """
    root = Path(os.path.realpath(folder))
    for name, entry in _walk(root):
        if not entry.is_symlink():
            continue
        target = Path(entry.path).readlink()
        if target.is_absolute() or not Path(os.path.realpath(entry.path)).is_relative_to(root):
            return name, str(target)
    return None


def make_read_only(folder: Path) -> None:
    """Take the right to write from everyone, for the folder and all in it; the right to execute stays."""
    for _, entry in _walk(folder):
        if not entry.is_symlink():
            _chmod(entry.path, entry.stat(follow_symlinks=False).st_mode & ~0o222)
    _chmod(folder, folder.stat().st_mode & ~0o222)


def remove(path: Path) -> None:
    """Remove a file or a folder with everything in it, read-only or not; what is missing is no error.

    Raises:
        OSError: something could not be removed.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    folders = [path]
    while folders:
        folder = folders[-1]
        _chmod(folder, stat.S_IRWXU)
        inside = _remove_files(folder)
        if inside:
            folders += inside
        else:
            folder.rmdir()
            folders.pop()


def _remove_files(folder: Path) -> list[Path]:
    """Remove what is in a folder and is no folder; return the folders that are in it."""
    folders = []
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            folders.append(path)
        else:
            path.unlink()
    return folders


def _chmod(path: Path | str, mode: int) -> None:
    Path(path).chmod(stat.S_IMODE(mode))
