"""What a program's last words mean: which kind of failure, what to do, whether trying again can help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nilus.errors import NilusError
from nilus.values.secret_texts import blank, cut, cut_middle

_FIRST_LINES = 5
_LAST_LINES = 20
_LONGEST_LINE = 400
_MAX_CHARACTERS = 4000
_USER_INFO = re.compile(r"(?<=://)[^/\s@'\"]+@")


_Error = TypeVar("_Error", bound=NilusError)


@dataclass(frozen=True)
class Kind:
    """One kind of failure.

    `pattern` is looked for in what the program printed (in English: it runs in the C locale); `summary` goes on from
    "git could not …: ". Where `about_credential` is set the message says what was presented to whom.
    """

    pattern: re.Pattern[str]
    summary: str
    remedy: str
    retryable: bool
    about_credential: bool = False


def kind(pattern: str, summary: str, remedy: str, *, retryable: bool = False, about_credential: bool = False) -> Kind:
    """Return a kind whose pattern does not look at letter case."""
    return Kind(re.compile(pattern, re.IGNORECASE), summary, remedy, retryable, about_credential)


def kind_of(output: str, kinds: Sequence[Kind], program: str) -> Kind:
    """Return the first of the kinds that matches; one that may be retried if none does."""
    unknown = Kind(re.compile(""), "", f"Read {program}'s own words.", retryable=True)
    return next((kind for kind in kinds if kind.pattern.search(output)), unknown)


def program_error(
    error: type[_Error], *, program: str, doing: str, status: int, kind: Kind, words: str, presented: str = ""
) -> _Error:
    """Return the error for a program that failed.

    Args:
        error: its type.
        program: the program's name.
        doing: what it was doing, after "<program> could not".
        status: its exit status; negative for a signal.
        kind: what its words mean.
        words: what may be shown of them.
        presented: what credential it had, in words; shown where the failure is about one.
    """
    summary = f": {kind.summary}" if kind.summary else ""
    ended = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    found = "; ".join(filter(None, [presented if kind.about_credential else "", ended]))
    return error(
        f"{program} could not {doing}{summary}.",
        found=f"{found};\n{words}" if words else found,
        remedy=kind.remedy,
        retryable=kind.retryable,
    )


def quote_output(text: str, secrets: Iterable[str], *, starts: re.Pattern[str] | None = None) -> str:
    """Return what may be shown of a text: without secrets, user info and control characters, the middle left out.

    Args:
        text: what a program printed; may hold secrets, comes from others in part.
        secrets: what must not be seen.
        starts: how the line begins that the failure begins with; those before it tell of progress.
    """
    text = _USER_INFO.sub("***@", blank(text, secrets))
    lines = ["".join(c if c.isprintable() else " " for c in line).rstrip() for line in text.splitlines()]
    lines = [cut(line, _LONGEST_LINE, "...") for line in lines if line]
    if starts is not None:
        lines = lines[next((number for number, line in enumerate(lines) if starts.match(line)), 0) :]
    if len(lines) > _FIRST_LINES + _LAST_LINES:
        lines[_FIRST_LINES:-_LAST_LINES] = ["..."]
    return cut_middle("\n".join(lines), _MAX_CHARACTERS, "\n...\n")
