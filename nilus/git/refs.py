"""Names of branches and tags: which are well formed, and which commit one means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nilus.errors import RepositoryError

HEAD = "HEAD"
_BRANCHES = "refs/heads/"
_TAGS = "refs/tags/"
_PEELED = "^{}"
_MAX_LENGTH = 1024
_COMPARED = 1_000
_COMPARED_LENGTH = 200
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.IGNORECASE | re.ASCII)
_SHORT = re.compile(r"[0-9a-f]{4,63}", re.IGNORECASE | re.ASCII)
# git help check-ref-format
_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|^[-/.]|[/.]$|^@$")


@dataclass(frozen=True)
class ResolvedRef:
    """What a ref means: its full name (None when a commit was named) and the commit, in full."""

    name: str | None
    commit: str


def as_commit(text: str) -> str | None:
    """Return a full commit hash (SHA-1 or SHA-256) in lower case, or None if the text is not one."""
    return text.lower() if _COMMIT.fullmatch(text) else None


def is_well_formed(ref: str) -> bool:
    """Whether git allows such a name, and ours: one that begins with a dash never is."""
    return 0 < len(ref) <= _MAX_LENGTH and _NEVER.search(ref) is None and ref.isprintable()


def check(ref: str) -> None:
    """Refuse what cannot be the name of a branch, a tag or a commit.

    Raises:
        RepositoryError: it is not a name git allows.
    """
    if is_well_formed(ref):
        return
    raise RepositoryError(
        "The ref of the repository is refused.",
        expected="the name of a branch or a tag, a full ref such as refs/heads/main, or a commit's 40 digits",
        found=repr(ref[:100]),
        remedy="Write the plain name. Expressions such as main~1 are not names: write the commit instead.",
    )


def candidates(ref: str) -> list[str]:
    """The full names a ref may stand for, and what annotated tags among them point to."""
    if ref == HEAD:
        return [HEAD]
    names = [ref] if ref.startswith("refs/") else [_BRANCHES + ref, _TAGS + ref]
    return names + [name + _PEELED for name in names if not name.startswith(_BRANCHES)]


def parse_advertised(output: str) -> dict[str, str]:
    """Read what `git ls-remote --symref` prints: full name to hash; `HEAD` to the name of the branch as well.

    The branch HEAD stands for is found under `"ref: HEAD"`.
    """
    advertised: dict[str, str] = {}
    for line in output.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            advertised[f"ref: {name}"] = value.removeprefix("ref: ")
        elif as_commit(value) and is_well_formed(name.removesuffix(_PEELED)):
            advertised[name] = value
    return advertised


def resolve(ref: str, advertised: dict[str, str]) -> ResolvedRef | None:
    """Decide which commit a ref means, by what the server has; None if it has no such name.

    Raises:
        RepositoryError: the name is both a branch and a tag.
    """
    found = [name for name in candidates(ref) if name in advertised and not name.endswith(_PEELED)]
    if len(found) > 1:
        raise RepositoryError(
            f"The ref {ref} is the name of a branch and of a tag.",
            expected="a name that means one commit",
            found=" and ".join(f"{name} at {advertised[name]}" for name in found),
            remedy=f"Write the full name: {' or '.join(found)}.",
        )
    if not found:
        return None
    name = found[0]
    commit = advertised.get(name + _PEELED, advertised[name])
    return ResolvedRef(advertised.get(f"ref: {name}", name), commit)


def unknown_ref(ref: str, server_refs: Iterable[str], repository: str) -> RepositoryError:
    """Return the error for a ref the server does not have; the names nearest to it are listed.

    Args:
        ref: what was asked for.
        server_refs: full names of all the server's refs.
        repository: its address, for the message.
    """
    names = [_short_name(name) for name in server_refs if name.startswith((_BRANCHES, _TAGS))]
    names = sorted({name for name in names if not name.endswith(_PEELED)})
    if not names:
        return RepositoryError(
            f"The repository {repository} is empty: it has no branch and no tag.",
            expected=f"a commit under the ref {ref}",
            found="no commit at all",
            remedy="Push to the repository first, or correct its address.",
        )
    if ref == HEAD:
        return RepositoryError(
            f"The default branch of {repository} does not exist.",
            expected="a commit under HEAD",
            found=f"these names: {_some(names)}",
            remedy="Name a branch or a tag with --ref, or set the default branch at the server.",
        )
    likely = _likely(ref, names)
    near = difflib.get_close_matches(ref.rpartition("/")[2], likely, n=5, cutoff=0.5)
    near += [name for name in difflib.get_close_matches(ref, likely, n=5, cutoff=0.5) if name not in near]
    remedy = "Correct the name, or push it."
    if _SHORT.fullmatch(ref):
        remedy = "If it is an abbreviated commit, write all of its 40 digits: servers find none by a part of them."
    return RepositoryError(
        f"The repository {repository} has no branch or tag named {ref}.",
        expected=f"{ref} among its branches and tags",
        found=f"near it: {_some(near)}" if near else f"these names: {_some(names)}",
        remedy=remedy,
    )


def _likely(ref: str, names: list[str]) -> list[str]:
    """Return the names that are worth a comparison, which is slow: those that begin alike before all others."""
    start = ref.rpartition("/")[2][:1].casefold()
    alike = [name for name in names if name.rpartition("/")[2][:1].casefold() == start]
    return [name[:_COMPARED_LENGTH] for name in (*alike[:_COMPARED], *names[: _COMPARED - len(alike[:_COMPARED])])]


def _short_name(name: str) -> str:
    return name.removeprefix(_BRANCHES).removeprefix(_TAGS)


def _some(names: list[str], limit: int = 10) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
