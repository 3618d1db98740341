"""url + ref -> commit -> a read-only checkout in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from nilus.cache.entries import Cache, Entry
from nilus.cache.staging import Staging
from nilus.errors import RepositoryError
from nilus.git import refs, repository_url
from nilus.git.commands import Credentials, Git
from nilus.programs.deadline import Deadline
from nilus.repository import allow_list
from nilus.repository.signatures import TrustedKeys
from nilus.repository.work_tree import WorkTreeRequest, materialise
from nilus.values.secret_texts import cut

_log = logging.getLogger("nilus.repository")

_BUCKET = "git-v1"
_CONTENT = "checkout"
# Looking into the cache waits for nothing.
_NO_TIME = 1.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the deployment decides.

    Args:
        cache_dir: where checkouts are kept; see `default_cache_dir`.
        cache_max_bytes: how much room they may take on the disk. What is in use stays, whatever it takes.
        allowed_protocols: of `https`, `ssh`, `http` and `file`.
        allowed_repositories: globs that an address must match one of, see `nilus.repository.allow_list`; empty for all.
        require_pinned_commit: take nothing but what a full hash names: the ref, or the expected commit.
        trusted_keys: one of them must have signed the commit; None if nobody has to.
    """

    cache_dir: Path
    cache_max_bytes: int
    allowed_protocols: tuple[str, ...] = ("https", "ssh")
    allowed_repositories: tuple[str, ...] = ()
    require_pinned_commit: bool = False
    trusted_keys: TrustedKeys | None = None


@dataclass(frozen=True)
class Checkout:
    """The files of one commit, in use: they stay until `release`, or until this process ends.

    Args:
        url: the repository's address, without credentials.
        ref: what was asked for; `HEAD` for the default branch.
        ref_name: the full name that was found, `refs/heads/main`; None if a commit was asked for.
        commit: the full hash.
        path: the folder, read-only, without git's own files.
        cached: whether it was in the cache already.
        seconds: how long it took to get it.
    """

    url: str
    ref: str
    ref_name: str | None
    commit: str
    path: Path
    cached: bool
    seconds: float
    _entry: Entry = field(repr=False, compare=False)

    def release(self) -> None:
        """Let the checkout go; further calls do nothing."""
        self._entry.release()

    def __enter__(self) -> Checkout:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def checkout(
    url: str,
    ref: str | None = None,
    *,
    settings: Settings,
    credentials: Credentials | None = None,
    depth: int = 1,
    submodules: str = "off",
    filter: str | None = None,
    sparse_checkout_file: str | None = None,
    timeout: float = 120.0,
    expected_commit: str | None = None,
) -> Checkout:
    """Return the files of a repository at a ref.

    A full commit hash that is in the cache costs no network and needs no git; any other ref one `git ls-remote`.

    Args:
        url: `https://host/path`, `ssh://user@host/path` or `user@host:path`; more by `settings`.
        ref: a branch, a tag, a full ref or a commit's full hash; None for the default branch.
        settings: what the deployment decides.
        credentials: how git is let in; None for public repositories, and for the SSH keys of the worker's user.
        depth, submodules, filter, sparse_checkout_file: see `nilus.repository.work_tree.WorkTreeRequest`.
        timeout: seconds for all of it, waiting for other processes included.
        expected_commit: the full hash the ref must stand for, or nothing is fetched.

    Raises:
        RepositoryError: something of the above is not allowed, does not exist, or did not work out.
    """
    git = _git(url, settings, credentials, timeout)
    wanted = WorkTreeRequest(
        depth=depth,
        submodules=submodules,
        filter_spec=filter,
        sparse_checkout_file=sparse_checkout_file,
        trusted_keys=settings.trusted_keys,
    )
    asked = refs.HEAD if ref is None else ref
    expected = _checked_refs(asked, expected_commit, settings)
    found = _resolve(git, asked)
    if expected is not None and found.commit != expected:
        raise RepositoryError(
            f"The ref {asked} of {git.url} is not at the expected commit.",
            expected=expected,
            found=f"{found.commit} ({found.name or 'the ref itself'})",
            remedy="Look at what has changed; then set expected_commit to the new commit, or the ref to the old one.",
        )
    return _checkout(git, dataclasses.replace(wanted, commit=found.commit, ref_name=found.name), asked, settings)


def checkout_from_cache(
    url: str,
    ref: str | None,
    *,
    settings: Settings,
    submodules: str = "off",
    sparse_checkout_file: str | None = None,
    expected_commit: str | None = None,
) -> Checkout | None:
    """Return what `checkout` would, if that is in the cache and takes no question to the server, else None.

    Needs neither network, git nor credentials. The arguments are those of `checkout`.

    Raises:
        RepositoryError: something is not allowed, or the cache is not safe to use.
    """
    git = _git(url, settings, None, _NO_TIME)
    asked = refs.HEAD if ref is None else ref
    expected = _checked_refs(asked, expected_commit, settings)
    commit = refs.as_commit(asked)
    if commit is None or expected not in (None, commit):
        return None
    wanted = WorkTreeRequest(
        commit=commit,
        submodules=submodules,
        sparse_checkout_file=sparse_checkout_file,
        trusted_keys=settings.trusted_keys,
    )
    entry = _cache(settings).look(_key(git, wanted))
    return None if entry is None else _log_checkout(git, wanted, asked, entry)


def look_up(
    url: str,
    ref: str | None = None,
    *,
    settings: Settings,
    credentials: Credentials | None = None,
    timeout: float = 120.0,
) -> refs.ResolvedRef:
    """Ask the server which commit a ref stands for, and fetch nothing: a test of address, ref and credentials.

    A full commit hash is taken for granted, for servers cannot look one up; they are asked all the same.

    Args:
        url, ref, settings, credentials, timeout: those of `checkout`. The ref need not be pinned.

    Raises:
        RepositoryError: something is not allowed, does not exist, or the server did not answer.
    """
    git = _git(url, settings, credentials, timeout)
    asked = refs.HEAD if ref is None else ref
    refs.check(asked)
    if refs.as_commit(asked) is not None:
        git.ls_remote([refs.HEAD])
    return _resolve(git, asked)


def _git(url: str, settings: Settings, credentials: Credentials | None, timeout: float) -> Git:
    if not (math.isfinite(timeout) and timeout > 0):
        raise RepositoryError(
            "The timeout for the repository is not a time.",
            expected="a number of seconds greater than 0",
            found=str(timeout),
            remedy="Correct --sync-timeout, or git_timeout in the settings.",
        )
    address = repository_url.parse(url, allowed_protocols=settings.allowed_protocols)
    allow_list.check(address, settings.allowed_repositories)
    return Git(
        url=address,
        allowed_protocols=settings.allowed_protocols,
        allowed_repositories=settings.allowed_repositories,
        deadline=Deadline(timeout),
        credentials=credentials or Credentials(),
    )


def _checked_refs(ref: str, expected_commit: str | None, settings: Settings) -> str | None:
    """Check what was asked for and what is expected; return the latter in lower case."""
    refs.check(ref)
    expected = _checked_commit(expected_commit)
    if settings.require_pinned_commit and expected is None and refs.as_commit(ref) is None:
        raise RepositoryError(
            f"This deployment runs pinned commits only, and the ref {ref} may move.",
            expected="a commit's full hash, as the ref or as expected_commit",
            found=f"the ref {ref} and no expected_commit",
            remedy="Set expected_commit to the commit that was reviewed: git rev-parse <ref> prints its hash.",
        )
    return expected


def _checked_commit(text: str | None) -> str | None:
    if text is None:
        return None
    commit = refs.as_commit(text)
    if commit is None:
        raise RepositoryError(
            "The expected commit is not a full hash.",
            expected="40 hexadecimal digits",
            found=repr(cut(text, 100)),
            remedy="Write all of the commit's digits: git rev-parse <ref> prints them.",
        )
    return commit


def _resolve(git: Git, ref: str) -> refs.ResolvedRef:
    commit = refs.as_commit(ref)
    if commit is not None:
        return refs.ResolvedRef(None, commit)
    found = refs.resolve(ref, git.ls_remote(refs.candidates(ref)))
    if found is None:
        raise refs.unknown_ref(ref, git.ls_remote(), str(git.url))
    _log.info("%s: %s is %s (%s).", git.url, ref, found.commit, found.name)
    return found


def _checkout(git: Git, wanted: WorkTreeRequest, asked: str, settings: Settings) -> Checkout:
    cache = _cache(settings)

    def make(content: Path, staging: Staging) -> dict[str, Any]:
        _warn_of_clear_text(git)
        materialise(dataclasses.replace(git, keep_open=(staging.fd,)), wanted, content)
        return {"url": git.url.text, "commit": wanted.commit, **wanted.variant}

    entry = cache.get(
        _key(git, wanted), make, what=f"the checkout of {git.url} at {wanted.commit}", deadline=git.deadline
    )
    if entry.made:
        cache.prune(settings.cache_max_bytes)
    return _log_checkout(git, wanted, asked, entry)


def _cache(settings: Settings) -> Cache:
    root = settings.cache_dir.expanduser().absolute() / _BUCKET
    return Cache(root, content=_CONTENT, error=RepositoryError, log=_log)


def _log_checkout(git: Git, wanted: WorkTreeRequest, asked: str, entry: Entry) -> Checkout:
    """Log where the files came from, and return them."""
    seconds = git.deadline.seconds_elapsed
    how = "was fetched" if entry.made else "was in the cache"
    _log.info("%s: the commit %s %s (%.1f s).", git.url, wanted.commit, how, seconds)
    return Checkout(
        url=git.url.text,
        ref=asked,
        ref_name=wanted.ref_name,
        commit=wanted.commit,
        path=entry.path,
        cached=not entry.made,
        seconds=seconds,
        _entry=entry,
    )


def _key(git: Git, wanted: WorkTreeRequest) -> str:
    key = f"{git.url.digest}/{wanted.commit}"
    variant: dict[str, object] = {**wanted.variant}
    if wanted.submodules != "off":
        # What they were allowed to be: under another policy they are fetched, and so checked, again.
        variant["policy"] = [*git.allowed_protocols, *git.allowed_repositories]
    if variant:
        key += f"-{hashlib.sha256(json.dumps(variant, sort_keys=True).encode()).hexdigest()[:12]}"
    return key


def _warn_of_clear_text(git: Git) -> None:
    if git.url.protocol == "http" and git.credentials.password:
        _log.warning("The credential for %s travels unencrypted: use https.", git.url)
