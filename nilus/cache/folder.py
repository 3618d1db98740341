"""The folder a cache lives in: made private, checked before it is trusted, its troubles put into words."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from nilus.errors import NilusError, RepositoryError

NAME = "airflow-provider-nilus"

_README = """\
This folder belongs to airflow-provider-nilus. It holds copies: checkouts of Git repositories, and packages
they need. It may be deleted whenever no task is running; the next run makes what it needs again. Do not edit
what is in it: a copy that was changed is thrown away.
"""
# https://bford.info/cachedir/: backup programs leave such a folder out.
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"

_FULL = "Free some space there, lower cache_max_bytes, or set cache_dir to a larger disk."
_FORBIDDEN = "Set cache_dir to a folder the worker's user owns, on a disk that may be written."
_NO_LOCKS = "Set cache_dir to a file system with file locks (flock), such as a local disk."
# What to do, and whether it may be otherwise when the task is run again.
_REMEDIES = {
    errno.ENOSPC: (_FULL, True),
    errno.EDQUOT: (_FULL, True),
    errno.EROFS: (_FORBIDDEN, False),
    errno.EACCES: (_FORBIDDEN, False),
    errno.EPERM: (_FORBIDDEN, False),
    errno.ENOTDIR: ("Set cache_dir to a folder, or to a path where one can be made.", False),
    errno.ENOLCK: (_NO_LOCKS, False),
    errno.EOPNOTSUPP: (_NO_LOCKS, False),
    errno.ENAMETOOLONG: ("Set cache_dir to a shorter path.", False),
}


def default_cache_dir() -> Path:
    """Return this user's cache directory for this package: `$XDG_CACHE_HOME`, or `~/.cache`, and our name.

    The variable counts only if it is absolute, as the XDG base directory specification says. Nothing is made.

    Raises:
        RepositoryError: this user has no home directory. A shared one, such as /tmp, would not be safe.
    """
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / NAME
    try:
        return Path.home() / ".cache" / NAME
    except RuntimeError:
        raise RepositoryError(
            "There is no place for the cache: the worker's user has no home directory.",
            expected="cache_dir in the settings, or one of the variables XDG_CACHE_HOME and HOME",
            found="none of them",
            remedy="Set cache_dir to a folder the worker's user owns.",
        ) from None


def prepare(root: Path, error: type[NilusError]) -> None:
    """Make one part of the cache, private to this user, if it is missing; check it if it is there.

    Args:
        root: the part's folder, inside the cache directory.
        error: the kind of error to raise.

    Raises:
        NilusError: of the kind `error`; the folder cannot be made or written.
    """
    with cache_errors(error, root):
        if not root.is_dir():
            root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                root.mkdir(mode=0o700)
            _describe(root)
        check(root, error)
        for name in ("locks", "staging"):
            (root / name).mkdir(mode=0o700, exist_ok=True)


def _describe(root: Path) -> None:
    for name, text in (("README.txt", _README), ("CACHEDIR.TAG", _TAG)):
        (root / name).write_text(text, encoding="ascii")


def check(root: Path, error: type[NilusError]) -> None:
    """Refuse a cache that someone else could have put code into.

    Raises:
        NilusError: of the kind `error`; the folder is another user's, others may write it, or it is a link.
        OSError: the folder cannot be looked at.
    """
    status = root.lstat()
    found = ""
    if not stat.S_ISDIR(status.st_mode):
        found = "it is not a folder"
    elif status.st_uid not in (os.geteuid(), 0):
        found = f"it belongs to the user with the number {status.st_uid}"
    elif status.st_mode & 0o022:
        found = f"others may write it (mode {stat.S_IMODE(status.st_mode):o})"
    named = root if found else next(filter(_is_open_to_others, _folders_above(root)), root)
    if named != root:
        found = f"{named}, above it: owner {named.stat().st_uid}, mode {stat.S_IMODE(named.stat().st_mode):o}"
    if found:
        raise error(
            f"The cache folder {root} is not safe to run code from.",
            expected="a folder that belongs to the worker's user (or to root) and that nobody else can write, and the "
            "same of each folder above it (a folder of root with the sticky bit, such as /tmp, is one, too)",
            found=found,
            remedy="Set cache_dir to a folder of this user, or correct owner and mode of the folder named here.",
        )


def _folders_above(root: Path) -> list[Path]:
    """Return the folders in which a part of the path can be replaced: as it is written, and where links lead."""
    return list(dict.fromkeys([*root.absolute().parents, *root.resolve().parents]))


def _is_open_to_others(folder: Path) -> bool:
    """Tell whether somebody else could put another folder in the place of one that is in this one."""
    status = folder.stat()
    is_in_root_group = status.st_gid == 0
    # Images for containers run under any user number of root's group, and give their folders to that group.
    is_of_image = is_in_root_group and os.getegid() == 0 and os.geteuid() != 0
    if status.st_uid not in (0, os.geteuid()) and not is_of_image:
        return True
    if status.st_mode & stat.S_ISVTX and status.st_uid == 0:
        return False
    by_group = status.st_mode & stat.S_IWGRP and not (is_in_root_group or _is_private_group(status.st_gid))
    return bool(status.st_mode & stat.S_IWOTH or by_group)


def _is_private_group(gid: int) -> bool:
    """Tell whether this user is the only one in a group: many systems give each user one, and the umask 002."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


@contextlib.contextmanager
def cache_errors(error: type[NilusError], root: Path) -> Iterator[None]:
    """Turn an `OSError` about the cache into an error of the kind `error` that says what to do."""
    try:
        yield
    except OSError as problem:
        remedy, retryable = _REMEDIES.get(problem.errno or 0, ("Look at this folder and its disk.", True))
        raise error(
            f"The cache in {root} cannot be used: {problem.strerror or problem}.",
            expected="a folder where files can be made and locked",
            found=str(problem),
            remedy=remedy,
            retryable=retryable,
        ) from None
