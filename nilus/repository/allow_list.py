"""Which repositories a deployment runs code from: a list of globs.

A pattern has the form of an address. `*` stands for any characters inside one segment, `**` for any number of
segments, `?` for one character; `*` alone allows everything. Host names compare without case, default ports and a
`.git` at the end make no difference, everything else is compared as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nilus.errors import RepositoryError
from nilus.git.repository_url import DEFAULT_PORTS, KNOWN_PROTOCOLS, RepositoryUrl
from nilus.values.secret_texts import cut

_EVERYTHING = ("*", "**")
_SHOWN = 10
_URL = re.compile(
    rf"(?P<protocol>{'|'.join(KNOWN_PROTOCOLS)})://(?:(?P<user>[^/:@\s]+)@)?(?P<host>[^/:@\s]*|\[[^/@\s]*\])"
    r"(?::(?P<port>[0-9]+))?(?P<path>/\S*[^/\s]\S*)",
    re.IGNORECASE,
)
_SCP = re.compile(r"(?P<user>[^/:@\s]+)@(?P<host>[^/:@\s]+|\[[^/@\s]*\]):(?P<path>\S+)")
_WILD = re.compile(r"(\*\*|\*|\?)")


def check(url: RepositoryUrl, patterns: Sequence[str]) -> None:
    """Refuse a repository that no pattern allows; without patterns every one is allowed.

    Raises:
        RepositoryError: it is not allowed, or a pattern is none.
    """
    if not patterns or any(_matches(url, pattern) for pattern in patterns):
        return
    more = f" and {len(patterns) - _SHOWN} more" if len(patterns) > _SHOWN else ""
    raise RepositoryError(
        f"This deployment does not run code from {url}.",
        expected=f"an address that one of these allows: {', '.join(patterns[:_SHOWN])}{more}",
        found=str(url),
        remedy="Use one of these repositories, or have this one added to allowed_repositories.",
    )


def check_patterns(patterns: Iterable[str]) -> None:
    """Refuse what is no pattern, before it is needed: a mistake in one must not make the list shorter.

    Raises:
        RepositoryError: a pattern does not have the form of an address.
    """
    for pattern in patterns:
        if pattern not in _EVERYTHING:
            _normalise(pattern)


def _matches(url: RepositoryUrl, pattern: str) -> bool:
    if pattern in _EVERYTHING:
        return True
    authority, path = _normalise(pattern)
    found_authority, found_path = _normalise(url.text)
    # A star in a host or a user name stays in there.
    return _glob(authority, one="[^/:@]", many="[^/:@]*").fullmatch(found_authority) is not None and (
        _glob(path, one="[^/]", many=".*").fullmatch(found_path) is not None
    )


def _normalise(text: str) -> tuple[str, str]:
    """Return protocol, user, host and port, spelled in one way, and the path."""
    match = _URL.fullmatch(f"file://{text}" if text.startswith("/") else text)
    if match is not None and (match["host"] or match["protocol"].lower() == "file"):
        protocol = match["protocol"].lower()
        port = match["port"] or DEFAULT_PORTS.get(protocol, "")
        authority = f"{protocol}://{match['user'] or ''}@{match['host'].lower()}:{port}"
        return authority, match["path"].rstrip("/").removesuffix(".git")
    match = _SCP.fullmatch(text)
    if match is not None:
        return f"{match['user']}@{match['host'].lower()}", match["path"].rstrip("/").removesuffix(".git")
    raise RepositoryError(
        "The setting allowed_repositories has something in it that is no pattern for addresses.",
        expected="such as https://host/organisation/*, git@host:organisation/*, ssh://user@host/** or file:///srv/git/**",
        found=repr(cut(text, 200)),
        remedy="Correct the setting.",
    )


def _glob(pattern: str, *, one: str, many: str) -> re.Pattern[str]:
    wild = {"**": many, "*": f"{one}*", "?": one}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in _WILD.split(pattern)), re.DOTALL)
