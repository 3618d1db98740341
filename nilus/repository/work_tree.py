"""The files of one commit: fetched into an empty folder, checked, made read-only."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from nilus.cache import file_tree
from nilus.errors import RepositoryError
from nilus.git.commands import Git
from nilus.repository import signatures, submodules
from nilus.repository.signatures import TrustedKeys
from nilus.values.secret_texts import cut

_log = logging.getLogger("nilus.repository")

_LFS = re.compile(rb"\bfilter=lfs\b")
_FILTER = re.compile(r"blob:none|blob:limit=[0-9]+[kmg]?|tree:[0-9]+", re.ASCII)
_ALL = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")

MOST_BYTES = 1 << 30
"""Bytes of all files of a commit that is checked out whole."""

_Attempt: TypeAlias = tuple[tuple[str, ...], int]


@dataclass(frozen=True, kw_only=True)
class WorkTreeRequest:
    """What to fetch and how.

    Args:
        commit: its full hash; empty while it is not known.
        ref_name: the full name it was found under, if any: some servers give commits by name only.
        depth: how many commits of the history to fetch; 0 for all.
        submodules: `off`, `shallow` (those of the repository) or `recursive` (theirs too).
        filter_spec: `blob:none`, `blob:limit=<n>[kmg]` or `tree:<depth>`: fetch the rest only when it is needed.
        sparse_checkout_file: path in the repository of a list of what to check out, as git-sparse-checkout reads it.
        trusted_keys: one of them must have signed the commit; None if nobody has to.

    Raises:
        RepositoryError: an option has a value it cannot have.
    """

    commit: str = ""
    ref_name: str | None = None
    depth: int = 1
    submodules: str = "off"
    filter_spec: str | None = None
    sparse_checkout_file: str | None = None
    trusted_keys: TrustedKeys | None = None

    def __post_init__(self) -> None:
        if self.depth < 0:
            raise _bad_option("--depth", "0 (all of the history) or a number of commits", str(self.depth))
        if self.submodules not in submodules.MODES:
            raise _bad_option("--submodules", " or ".join(submodules.MODES), repr(self.submodules))
        if self.filter_spec is not None and not _FILTER.fullmatch(self.filter_spec):
            raise _bad_option("--filter", "blob:none, blob:limit=<n>[kmg] or tree:<depth>", repr(self.filter_spec))
        if self.sparse_checkout_file is not None and not is_inside(self.sparse_checkout_file):
            raise _bad_option("--sparse-checkout-file", "a path inside the repository", repr(self.sparse_checkout_file))

    @property
    def variant(self) -> dict[str, str]:
        """The options that decide which files there are and what was verified; empty for all of the commit's own."""
        options = {"sparse_checkout_file": self.sparse_checkout_file or ""}
        if self.submodules != "off":
            options["submodules"] = self.submodules
        if self.trusted_keys is not None:
            options["trusted_keys"] = self.trusted_keys.digest
        return {name: value for name, value in options.items() if value}


def is_inside(path: str) -> bool:
    """Whether a path, as written, is relative and stays below where it starts."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and parts[0] != "/"
        and ".." not in parts
        and not any(c in path for c in "\\\0\r\n")
        and not file_tree.is_too_long(path)
    )


def _bad_option(option: str, expected: str, found: str) -> RepositoryError:
    return RepositoryError(
        f"The value of {option} is not allowed.",
        expected=expected,
        found=found,
        remedy=f"Correct {option} in the workflow's repo.syncFlags.",
    )


def materialise(git: Git, wanted: WorkTreeRequest, folder: Path) -> None:
    """Put the files of a commit into an empty folder, without anything of git's own, and make them read-only.

    Raises:
        RepositoryError: it cannot be fetched, or has something in it that is not allowed.
    """
    git.init(folder, sha256=len(wanted.commit) == 64)
    _fetch(git, wanted, folder)
    if wanted.trusted_keys is not None:
        signatures.verify(git, folder, wanted.commit, wanted.trusted_keys)
    paths = git.paths(folder, wanted.commit)
    _refuse_long_paths(paths, wanted.commit)
    if not (wanted.sparse_checkout_file or wanted.filter_spec):  # else not all is written, or not all is there
        _refuse_large(git.size(folder, wanted.commit), wanted.commit)
    if wanted.sparse_checkout_file:
        _list_sparse_paths(git, wanted, wanted.sparse_checkout_file, folder)
    git.check_out(folder, wanted.commit, sparse=bool(wanted.sparse_checkout_file))
    if git.commit_of(folder, "HEAD") != wanted.commit:
        raise RepositoryError(
            f"What was checked out of {git.url} is not the commit {wanted.commit}.", remedy="Report this as a bug."
        )
    if wanted.submodules != "off":
        submodules.materialise(git, folder, recursive=wanted.submodules == "recursive", depth=wanted.depth)
    file_tree.remove(folder / ".git")
    _refuse_outward_links(folder, wanted.commit)
    _tell_of_lfs(folder, paths)
    file_tree.make_read_only(folder)


def _fetch(git: Git, wanted: WorkTreeRequest, folder: Path) -> None:
    for refspecs, depth in _attempts(wanted):
        if not git.fetch(folder, refspecs, depth=depth, filter_spec=wanted.filter_spec):
            _log.info("The server %s does not give %s alone: fetching more.", git.url.server, " ".join(refspecs))
            continue
        found = git.commit_of(folder, wanted.commit)
        if found == wanted.commit:
            return
        if found is not None:
            raise RepositoryError(
                f"{wanted.commit} is not a commit.",
                expected="the hash of a commit",
                found="the hash of a tag",
                remedy=f"Write the commit it stands for, {found}, or the tag's name.",
            )
    raise RepositoryError(
        f"The repository {git.url} has no commit {wanted.commit}.",
        expected="a commit that one of its branches or tags leads to",
        found=f"{wanted.ref_name} has moved on meanwhile" if wanted.ref_name else "none with this hash",
        remedy="Run the task again." if wanted.ref_name else "Correct the hash, or push the commit.",
        retryable=wanted.ref_name is not None,
    )


def _attempts(wanted: WorkTreeRequest) -> Iterator[_Attempt]:
    """What to ask for, from the least to everything: some servers give no commit by its hash."""
    yield (wanted.commit,), wanted.depth
    if wanted.ref_name:
        yield (wanted.ref_name,), wanted.depth
        yield (*_ALL, f"+{wanted.ref_name}:refs/wanted"), 0
    else:
        yield _ALL, 0


def _refuse_long_paths(paths: list[str], commit: str) -> None:
    for path in paths:
        if file_tree.is_too_long(path):
            raise RepositoryError(
                f"The commit {commit} holds a path that is too long.",
                expected=f"{file_tree.LONGEST_PATH} bytes at most, and {file_tree.LONGEST_NAME} for one name in it",
                found=f"{len(os.fsencode(path))} bytes: {cut(path, 80)!r}",
                remedy="Shorten it in the repository.",
            )


def _refuse_large(size: int, commit: str) -> None:
    """Refuse a commit before it is written: a pack of some kilobytes can hold any number of bytes."""
    if size > MOST_BYTES:
        raise RepositoryError(
            f"The commit {commit} is too large to be checked out.",
            expected=f"{MOST_BYTES >> 20} MiB of files at most",
            found=f"{size >> 20} MiB",
            remedy="Take data out of the repository; or list what the source needs in a file of the repository, and "
            "name that by --sparse-checkout-file.",
        )


def _list_sparse_paths(git: Git, wanted: WorkTreeRequest, path: str, folder: Path) -> None:
    patterns = git.file_content(folder, wanted.commit, str(PurePosixPath(path)))
    if patterns is None:
        raise RepositoryError(
            f"The repository {git.url} has no file {path} at {wanted.commit}.",
            expected="a file with one pattern on each line, which --sparse-checkout-file names",
            found="no such file",
            remedy="Correct --sparse-checkout-file, or add the file to the repository.",
        )
    info = folder / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "sparse-checkout").write_bytes(patterns)


def _refuse_outward_links(folder: Path, commit: str) -> None:
    link = file_tree.outward_link(folder)
    if link is not None:
        raise RepositoryError(
            f"The commit {commit} holds a symbolic link that leads out of the repository.",
            expected="links to files of the repository, relative ones",
            found=f"{link[0]} -> {link[1]}",
            remedy="Remove the link from the repository, or put the file itself there.",
        )


def _tell_of_lfs(folder: Path, paths: list[str]) -> None:
    for path in paths:
        file = folder / path
        if file.name == ".gitattributes" and file.is_file() and _LFS.search(file.read_bytes()):
            _log.warning("%s keeps files in Git LFS: here they are pointers of a few lines, not the files.", path)
            return
