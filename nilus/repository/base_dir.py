"""`repo.baseDir`: the folder of a checkout that holds the source's modules."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nilus.cache import file_tree
from nilus.errors import RepositoryError
from nilus.git import repository_url
from nilus.values.secret_texts import cut

if TYPE_CHECKING:
    from nilus.repository.fetch import Checkout

_REMEDY = "Write repo.baseDir as the folder's path inside the repository, such as sources/orders."


def base_dir(checkout: Checkout, base_dir: str) -> Path:
    """Return the folder a workflow's `repo.baseDir` means.

    Two conventions are in use: the path in the repository, and the same behind the repository's name (the last
    segment of its address, with or without `.git`), where git-sync publishes it. The first one that exists counts.

    Args:
        checkout: the repository's files.
        base_dir: the path as written; empty or `.` for the repository itself.

    Raises:
        RepositoryError: the path leaves the repository, or there is no such folder.
    """
    _check(base_dir)
    root = checkout.path.resolve()
    is_file = False
    for relative in _candidates(checkout, base_dir):
        path = checkout.path / relative
        if not path.resolve().is_relative_to(root):
            raise _base_dir_error(base_dir, "a symbolic link that leads out of the repository")
        if path.is_dir():
            return path
        is_file = is_file or path.is_file()
    if is_file:
        raise _base_dir_error(base_dir, "a file; baseDir is the folder it lies in")
    folders = sorted(entry.name for entry in checkout.path.iterdir() if entry.is_dir())
    raise RepositoryError(
        f"The folder {base_dir!r} (repo.baseDir) is not in {checkout.url} at {checkout.commit}.",
        expected="a folder of the repository",
        found=f"these at its top: {', '.join(_nearest_first(base_dir, folders)) or 'none'}",
        remedy=_REMEDY,
    )


def _check(base_dir: str) -> None:
    problem = ""
    if "\0" in base_dir:
        problem = "a NUL character"
    elif "\\" in base_dir:
        problem = "a backslash"
    elif base_dir.startswith("/"):
        problem = "an absolute path"
    elif ".." in PurePosixPath(base_dir).parts:
        problem = "'..'"
    elif file_tree.is_too_long(base_dir):
        base_dir = cut(base_dir, 80)
        problem = "a path that is too long"
    if problem:
        raise _base_dir_error(base_dir, problem)


def _base_dir_error(base_dir: str, found: str) -> RepositoryError:
    return RepositoryError(
        f"The folder {base_dir!r} (repo.baseDir) is refused.",
        expected="a folder inside the repository",
        found=found,
        remedy=_REMEDY,
    )


def _candidates(checkout: Checkout, base_dir: str) -> Iterator[PurePosixPath]:
    path = PurePosixPath(base_dir)
    yield path
    name = repository_url.last_segment(checkout.url)
    if path.parts and path.parts[0].removesuffix(".git") == name.removesuffix(".git"):
        yield PurePosixPath(*path.parts[1:])


def _nearest_first(base_dir: str, folders: list[str]) -> list[str]:
    parts = PurePosixPath(base_dir).parts

    def distance(folder: str) -> float:
        return -max(difflib.SequenceMatcher(None, part.lower(), folder.lower()).ratio() for part in parts)

    return sorted(folders, key=distance)
