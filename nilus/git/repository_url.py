"""The address of a Git repository, as far as we let one through.

What is not listed here is refused: an address decides which program git starts, and who gets a credential.

- ``https://host[:port]/path``
- ``ssh://user@host[:port]/path`` and ``user@host:path``
- ``http://host[:port]/path``, where the deployment allows ``http``
- ``file:///path`` and ``/path``, where the deployment allows ``file``
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from nilus.errors import RepositoryError

KNOWN_PROTOCOLS = ("https", "ssh", "http", "file")
DEFAULT_PORTS = {"https": "443", "ssh": "22", "http": "80"}
_MAX_LENGTH = 2048
_MAX_DECODINGS = 5

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.ASCII | re.DOTALL)
_HOST = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_USER = r"(?P<user>[A-Za-z0-9_][A-Za-z0-9._+-]*)"
_AUTHORITY = re.compile(rf"(?:{_USER}@)?{_HOST}(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
_SCP = re.compile(rf"{_USER}@{_HOST}:(?P<path>[^-].*)", re.ASCII | re.DOTALL)
_EXAMPLES = "https://host/path, ssh://user@host/path or user@host:path"


@dataclass(frozen=True)
class RepositoryUrl:
    """A checked address without any secret in it.

    Args:
        text: what git is given.
        protocol: one of `KNOWN_PROTOCOLS`.
        host: in lower case; empty for files.
        port: as written, or empty.
        path: the repository's path at the server, percent-encoding kept; of `user@host:path` all after the colon.
        canonical: the same for all spellings we know to be the same repository.
    """

    text: str
    protocol: str
    host: str
    port: str
    path: str
    canonical: str

    def __str__(self) -> str:
        return self.text

    @property
    def server(self) -> str:
        """What to call the other side in a message."""
        return f"{self.host}:{self.port}" if self.port else self.host or "this machine"

    @property
    def credential_scope(self) -> str | None:
        """Scheme, host and port for which a credential may be used; None where git asks for none."""
        if self.protocol not in ("https", "http"):
            return None
        return f"{self.protocol}://{self.server}"

    @property
    def digest(self) -> str:
        """A name for the repository that any file system takes."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:32]


def resolve(url: str, base: RepositoryUrl, *, allowed_protocols: Iterable[str]) -> RepositoryUrl:
    """Check an address that may be relative to another one, as those in `.gitmodules` may be.

    Args:
        url: an address, or a path that begins with `./` or `../`: git counts from the repository itself, not from
            the folder it lies in.
        base: the repository that names it.
        allowed_protocols: what the deployment allows, of `KNOWN_PROTOCOLS`.

    Raises:
        RepositoryError: the address is not of an allowed form, or climbs above the server's root, where the next
            step would be another server.
    """
    if not url.startswith(("./", "../")):
        return parse(url, allowed_protocols=allowed_protocols)
    rest = url
    segments = [segment for segment in base.path.split("/") if segment]
    while rest.startswith(("./", "../")):
        step, _, rest = rest.partition("/")
        if step == "..":
            if not segments:
                raise _url_error("a relative address that climbs above the server's root")
            segments.pop()
    root = "/" if base.path.startswith("/") else ""
    place = base.text.removesuffix(base.path)
    return parse(f"{place}{root}{'/'.join([*segments, rest])}", allowed_protocols=allowed_protocols)


def last_segment(url: str) -> str:
    """Return the last segment of a repository's path, percent-encoding undone: what its clone would be called."""
    return unquote(re.split(r"[/:]", url.rstrip("/"))[-1])


def parse(url: str, *, allowed_protocols: Iterable[str]) -> RepositoryUrl:
    """Check an address.

    Args:
        url: what the author of the workflow wrote.
        allowed_protocols: what the deployment allows, of `KNOWN_PROTOCOLS`.

    Raises:
        RepositoryError: the address is not of an allowed form. The text holds no user info the address had.
    """
    allowed = _checked_protocols(allowed_protocols)
    _refuse_odd_text(url)
    match = _SCHEME.fullmatch(url)
    if match is None:
        return _parse_plain(url, allowed)
    protocol, rest = match["scheme"].lower(), match["rest"]
    if protocol not in allowed:
        raise _not_allowed(protocol, allowed)
    if protocol == "file":
        return _file(rest)
    authority, slash, path = rest.partition("/")
    return _with_authority(protocol, authority, slash + path)


def _checked_protocols(protocols: Iterable[str]) -> tuple[str, ...]:
    allowed = tuple(protocols)
    for protocol in allowed:
        if protocol not in KNOWN_PROTOCOLS:
            raise RepositoryError(
                "The setting allowed_protocols names a protocol this project does not let git use.",
                expected=", ".join(KNOWN_PROTOCOLS),
                found=protocol,
                remedy="Correct the setting.",
            )
    return allowed


def _refuse_odd_text(url: str) -> None:
    problem = ""
    if not url:
        problem = "nothing"
    elif len(url) > _MAX_LENGTH:
        problem = f"{len(url)} characters"
    elif any(c.isspace() or not c.isprintable() for c in url):
        problem = "white space or a control character"
    elif any(c.isspace() or not c.isprintable() for c in unquote(url, errors="replace")):
        problem = "white space or a control character, percent-encoded"
    elif "\\" in url:
        problem = "a backslash"
    elif url.startswith("-"):
        problem = "a dash at its beginning, which git would read as an option"
    elif re.match(r"[^/@\[]*::", url):
        problem = "'::', which makes git start a helper program"
    if problem:
        raise _url_error(problem)


def _refuse_odd_path(path: str) -> None:
    """Refuse steps a server might take before it looks for the repository, spelled out or percent-encoded."""
    for _ in range(_MAX_DECODINGS):
        if not {".", ".."}.isdisjoint(re.split(r"[/\\]", path)):
            raise _url_error("'.' or '..' in its path")
        decoded = unquote(path, errors="replace")
        if decoded == path:
            return
        if decoded.count("/") != path.count("/"):
            raise _url_error("a slash in its path, percent-encoded")
        path = decoded
    raise _url_error("percent-encoding of percent-encoding in its path")


def _parse_plain(url: str, allowed: tuple[str, ...]) -> RepositoryUrl:
    match = _SCP.fullmatch(url)
    if match is not None:
        if "ssh" not in allowed:
            raise _not_allowed("ssh", allowed)
        user, host, path = match["user"], match["host"].lower(), match["path"]
        _refuse_odd_path(path)
        text = f"{user}@{host}:{path}"
        return RepositoryUrl(text, "ssh", host, "", path, text.rstrip("/"))
    if not url.startswith("/"):
        raise _url_error("none of these forms")
    if "file" not in allowed:
        raise _not_allowed("file", allowed)
    return _file(quote(url))


def _file(path: str) -> RepositoryUrl:
    if not path.startswith("/") or path.startswith("//"):
        raise _url_error("a file address with a host in it")
    _refuse_odd_path(path)
    text = f"file://{path}"
    return RepositoryUrl(text, "file", "", "", path, text.rstrip("/"))


def _with_authority(protocol: str, authority: str, path: str) -> RepositoryUrl:
    # A password with a slash in it moves the @ into what looks like the path.
    if "@" in authority + path if protocol != "ssh" else ":" in authority.rpartition("@")[0]:
        raise RepositoryError(
            "The address of the repository holds a user name or a password.",
            expected=f"{protocol}://host/path",
            found="something before an @",
            remedy="Take it out of the address, and give it by a Git connection or by GITSYNC_USERNAME and "
            "GITSYNC_PASSWORD. Change the password: an address ends up in logs.",
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise _url_error("no proper host" if authority.rpartition("@")[2] else "no host")
    if any(character in path for character in "?#"):
        raise _url_error("a query or a fragment")
    _refuse_odd_path(path)
    if not path.strip("/"):
        raise _url_error("no path")
    host, port = match["host"].lower(), match["port"] or ""
    if port and not 0 < int(port) < 65536:
        raise _url_error("no proper port")
    user = f"{match['user']}@" if match["user"] else ""
    shown = f"{user}{host}:{port}" if port else f"{user}{host}"
    place = f"{user}{host}:{port or DEFAULT_PORTS[protocol]}"
    return RepositoryUrl(
        f"{protocol}://{shown}{path}", protocol, host, port, path, f"{protocol}://{place}{path.rstrip('/')}"
    )


def _url_error(found: str) -> RepositoryError:
    return RepositoryError(
        "The address of the repository is refused.",
        expected=_EXAMPLES,
        found=found,
        remedy="Write the repository's address as its server shows it for cloning.",
    )


def _not_allowed(protocol: str, allowed: tuple[str, ...]) -> RepositoryError:
    remedy = "Use the repository's https or ssh address."
    if protocol in KNOWN_PROTOCOLS:
        remedy += f" Whoever runs this deployment can allow it by adding {protocol} to allowed_protocols."
    return RepositoryError(
        f"Repositories may not be fetched by {protocol} here.",
        expected=f"one of {', '.join(allowed) or 'no protocol at all'}",
        found=protocol,
        remedy=remedy,
    )
