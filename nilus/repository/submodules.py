"""Submodules: repositories a repository names, fetched under the same protections.

A `.gitmodules` file comes from the repository and decides what git fetches and where it writes: it is checked, level
by level, before git reads it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nilus.cache import file_tree
from nilus.errors import RepositoryError
from nilus.git import repository_url
from nilus.git.commands import Git
from nilus.git.program import find_git
from nilus.git.repository_url import RepositoryUrl
from nilus.git.version import check_version, is_patched
from nilus.repository import allow_list

_log = logging.getLogger("nilus.repository")

MODES = ("off", "shallow", "recursive")
_DEEPEST = 10
_HARMLESS_UPDATES = ("checkout", "rebase", "merge", "none")
_MOST_ENTRIES = 2_000


def materialise(git: Git, folder: Path, *, recursive: bool, depth: int) -> None:
    """Fetch and check out the submodules of a work tree, and remove what git needs for itself from them.

    Args:
        git: git, for the repository.
        folder: the work tree, with its `.git` folder.
        recursive: theirs as well.
        depth: how many commits of their history to fetch; 0 for all. If a server does not allow it, all.

    Raises:
        RepositoryError: `.gitmodules` has something in it that is not allowed, or a submodule cannot be fetched.
    """
    _warn_of_old_git()
    done = _level(git, folder, git.url, recursive=recursive, depth=depth, level=1)
    if done is None:
        _log.info("A server does not give a submodule's commit alone: fetching its history.")
        file_tree.remove(folder / ".git" / "modules")
        for submodule in _check(git, folder, git.url):
            file_tree.remove(folder / submodule.path)
            (folder / submodule.path).mkdir()
        done = _level(git, folder, git.url, recursive=recursive, depth=0, level=1)
    if done is None:
        raise RepositoryError(
            f"A submodule of {git.url} points to a commit its repository does not have.",
            expected="a commit that was pushed",
            remedy="Push the submodule, or correct the commit the repository records for it.",
        )
    for work_tree in done:
        file_tree.remove(work_tree / ".git")


def _level(
    git: Git, folder: Path, base: RepositoryUrl, *, recursive: bool, depth: int, level: int
) -> list[Path] | None:
    """Return the work trees of the submodules; None if a server asks us to fetch more."""
    submodules = _check(git, folder, base)
    if not submodules:
        return []
    if level > _DEEPEST:
        raise RepositoryError(
            f"The submodules of {git.url} are nested too deep.",
            expected=f"{_DEEPEST} levels at most",
            remedy="Use --submodules=shallow.",
        )
    urls = {submodule.name: submodule.url.text for submodule in submodules}
    if not git.update_submodules(folder, urls, depth=depth):
        return None
    fetched = [submodule for submodule in submodules if (folder / submodule.path / ".git").exists()]
    done = [folder / submodule.path for submodule in fetched]
    for submodule in fetched if recursive else []:
        work_tree = folder / submodule.path
        deeper = _level(git, work_tree, submodule.url, recursive=True, depth=depth, level=level + 1)
        if deeper is None:
            return None
        done += deeper
    return done


@dataclass(frozen=True)
class _Submodule:
    """One that was checked; `url` is absolute."""

    name: str
    path: str
    url: RepositoryUrl


def _check(git: Git, folder: Path, base: RepositoryUrl) -> list[_Submodule]:
    """Check a work tree's `.gitmodules`; return its submodules.

    Args:
        git: git, for the repository.
        folder: the work tree.
        base: the address of the repository the work tree belongs to.
    """
    file = folder / ".gitmodules"
    if file.is_symlink():
        raise _submodule_error(git, "it is a symbolic link")
    if not file.is_file():
        return []
    entries = git.read_gitmodules(folder)
    if entries is None:
        raise _submodule_error(git, "a text that git cannot read")
    if len(entries) > _MOST_ENTRIES:
        raise _submodule_error(git, f"{len(entries)} entries, of {_MOST_ENTRIES} at most")
    options: dict[str, dict[str, str]] = {}
    for key, value in entries:
        section, _, rest = key.partition(".")
        name, _, option = rest.rpartition(".")
        if section == "submodule" and name:
            _check_text(git, name, (name, value))
            _check_path(git, name, name)
            if option in options.setdefault(name, {}):
                raise _submodule_error(git, f"{name!r} has its {option} twice")
            options[name][option] = value
    return [_submodule(git, folder, base, name, given) for name, given in options.items() if given.get("path")]


def _submodule(git: Git, folder: Path, base: RepositoryUrl, name: str, options: Mapping[str, str]) -> _Submodule:
    if options.get("update", "checkout") not in _HARMLESS_UPDATES:
        raise _submodule_error(git, f"{name} wants a command to be run")
    path = options["path"]
    _check_path(git, name, path)
    _check_place(git, folder, name, path)
    return _Submodule(name, path, _checked_url(git, base, name, options.get("url", "")))


def _check_text(git: Git, name: str, texts: Iterable[str]) -> None:
    if any(not character.isprintable() for text in texts for character in text):
        raise _submodule_error(git, f"{name!r} has a control character in it")


def _check_path(git: Git, name: str, path: str) -> None:
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith(("-", "/"))
        or "\\" in path
        or ".." in parts
        or any(part.lower() == ".git" for part in parts)
    ):
        raise _submodule_error(git, f"{name!r} has the path {path!r}")


def _check_place(git: Git, folder: Path, name: str, path: str) -> None:
    """Refuse a place that is another one where letter case does not count: git would write there (CVE-2024-32002)."""
    place = folder
    for part in PurePosixPath(path).parts:
        names = [entry.name for entry in place.iterdir()] if place.is_dir() else []
        if any(other != part and other.casefold() == part.casefold() for other in names):
            raise _submodule_error(git, f"the path {path!r} of {name!r} differs from another one only in letter case")
        place /= part
        if place.is_symlink():
            raise _submodule_error(git, f"the path {path!r} of {name!r} leads through a symbolic link")


def _checked_url(git: Git, base: RepositoryUrl, name: str, url: str) -> RepositoryUrl:
    try:
        checked = repository_url.resolve(url, base, allowed_protocols=git.allowed_protocols)
        allow_list.check(checked, git.allowed_repositories)
    except RepositoryError as problem:
        raise _submodule_error(git, f"the address of {name!r}: {problem.message} {problem.found}") from None
    return checked


def _submodule_error(git: Git, found: str) -> RepositoryError:
    return RepositoryError(
        f"The file .gitmodules of {git.url} is refused.",
        expected="submodules with plain names, paths inside the repository, and addresses we would fetch ourselves",
        found=found,
        remedy="Correct it in the repository, or fetch without submodules (--submodules=off).",
    )


def _warn_of_old_git() -> None:
    version = check_version(find_git())
    if not is_patched(version):
        _log.warning(
            "This git is %s: unless its distributor has repaired it, a hostile submodule can run commands in "
            "versions before 2.50.1 (2.43.7, 2.44.4, 2.45.4, 2.46.4, 2.47.3, 2.48.2, 2.49.1).",
            ".".join(map(str, version)),
        )
