"""Addresses of sources and sinks: their parts, the class that `custom://<ClassName>?…` names, what fills `{NAME}`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from nilus.errors import SourceError, WorkflowError
from nilus.values.redaction import redact_address, secret_values
from nilus.values.schemes import is_local, scheme_name

_LINE_BREAK = re.compile(r"[ \t]*[\r\n]+[ \t]*")
# What YAML makes of a line break before or after the separator of a parameter.
_BESIDE_SEPARATOR = re.compile(r"\s+(?=[?&][\w.\-]+=)|(?<=[?&])\s+(?=[\w.\-]+=)")
_PLACEHOLDER = re.compile(r"\$?\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SAFE_IN_HOST = ":[],"
_SAFE_IN_PATH = "/:@!$&'()*+,;="
# What is shorter is no secret but the name of a place in a page.
_SHORTEST_FRAGMENT = 5
_NESTED_LEVELS = 8
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")


@dataclass(frozen=True)
class Address:
    """The parts of an address, each as it was written; shown without its secrets, by `str` and `repr` as well.

    Attributes:
        text: the whole address.
        scheme: in lower case, without a driver behind a plus sign; empty if there is none.
        rest: what follows `://`; the whole text if there is no scheme.
        user_info: user and password, which may hold a raw `/`, `?` or `#`.
        host: host and port.
        path: with the slash it begins with; of a local file it may hold a `#`.
        query: what follows the question mark.
        fragment: what follows the number sign.
    """

    text: str = field(repr=False)
    scheme: str
    rest: str = field(repr=False)
    user_info: str = field(repr=False)
    host: str
    path: str
    query: str = field(repr=False)
    fragment: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address; any text is one."""
        _, mark, rest = text.partition("://")
        scheme, rest = (scheme_name(text), rest) if mark else ("", text)
        local = is_local(scheme) and rest.startswith("/")
        end = 0 if local else _end_of_user_info(rest)
        body, _, fragment = (rest[end:], "", "") if local else rest[end:].partition("#")
        place, _, query = body.partition("?")
        host, slash, path = place.partition("/")
        return cls(text, scheme, rest, rest[:end].removesuffix("@"), host, slash + path, query, fragment)

    def __str__(self) -> str:
        return redact_address(self.text)

    @property
    def user(self) -> str:
        """The user's name, decoded."""
        return unquote(self.user_info.partition(":")[0])

    @property
    def password(self) -> str:
        """The password, decoded."""
        return unquote(self.user_info.partition(":")[2])

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters behind the question mark, decoded; of several of one name the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must never be shown, decoded and as they are written, each once.

        They are the password, a user of http(s) that stands alone (a token), the parameters of secret names behind the
        question mark and the number sign, a bare fragment, and the secrets of addresses in parameters.
        """
        return tuple(dict.fromkeys(filter(None, self._secrets(_NESTED_LEVELS))))

    def _secrets(self, levels: int) -> Iterator[str]:
        user, colon, password = self.user_info.partition(":")
        if colon or self.scheme in ("http", "https"):
            yield from (password or user, unquote(password or user))
        if not is_local(self.scheme):
            # A password of digits and a raw slash looks like a port and a path.
            yield self.rest.partition("?")[0].rpartition("@")[0].partition(":")[2]
        parts = [(self.query, self.parameters)]
        if "=" in self.fragment:
            parts.append((self.fragment, dict(parse_qsl(self.fragment, keep_blank_values=True))))
        elif len(self.fragment) >= _SHORTEST_FRAGMENT:
            yield from (self.fragment, unquote(self.fragment))
        for written, parameters in parts:
            yield from secret_values(parameters)
            yield from secret_values(dict(pair.partition("=")[::2] for pair in written.split("&")))
            for value in parameters.values():
                # Nobody nests them deeper: then all of it is hidden.
                if "://" in value:
                    yield from Address.parse(value)._secrets(levels - 1) if levels else (value,)

    def absolute(self, home: Path) -> str:
        """Return the address; the relative path of a local file is made absolute.

        Args:
            home: the folder it is relative to.
        """
        place, mark, query = self.rest.partition("?")
        if not is_local(self.scheme) or "://" not in self.text:
            return self.text
        if self.scheme == "file":
            if not place or place.startswith("/"):
                return self.text
            return f"file://{quote(os.path.normpath(home / Path(unquote(place)).expanduser()))}{mark}{query}"
        path = place.removeprefix("/")
        if not path or path == ":memory:" or Path(path).is_absolute():
            return self.text
        return f"{self.scheme}:///{os.path.normpath(home / Path(path).expanduser())}{mark}{query}"


def _end_of_user_info(rest: str) -> int:
    """Return how many characters of what follows `://` are user info, with its `@`.

    A password may hold a raw `/`, `?` or `#`: then the `@` comes after what looks like a port and is none.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return authority.rindex("@") + 1
    port = re.sub(r"^\[[^\]]*\]", "", authority).partition(":")[2]
    if not port or port.isdecimal():
        return 0
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    return (place.rfind("@") if "@" in place else rest.rfind("@")) + 1


def fold(address: str) -> str:
    """Return the address on one line, without white space around it.

    A line break becomes a space, as YAML has it, or nothing where a parameter begins there (`?k=`, `&k=`); so does the
    space that YAML has already made of such a break. Everything else stays as it is.
    """
    return _BESIDE_SEPARATOR.sub("", _LINE_BREAK.sub(" ", address.strip()))


def class_name(address: str) -> str:
    """Return the class an address names, its case kept.

    Raises:
        SourceError: the scheme is not `custom`, or what follows it is not the name of a class. The message holds no
            more of the address than that: addresses may hold secrets.
    """
    scheme, separator, rest = fold(address).partition("://")
    if not separator or scheme.lower() != "custom":
        known = separator and _SCHEME.fullmatch(scheme)
        raise SourceError(
            "Only custom sources are run here",
            expected="a source address custom://<ClassName>?…",
            found=f"the scheme {scheme}://" if known else "an address without a scheme",
            remedy="name the CustomSource class of the repository in source.address",
        )
    name = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not name.isidentifier():
        start = re.match(r"\w*", name)
        raise SourceError(
            "The source address names no class",
            expected="custom://<ClassName>?…, the name as it is written in Python",
            found=f"custom://{start.group() if start else ''}, then something that cannot be part of a name"
            if name
            else "custom:// and no name",
            remedy="write the class's name between custom:// and the question mark",
        )
    return name


def fill(address: str, environ: Mapping[str, str], *, where: str) -> str:
    """Fill `{NAME}` and `${NAME}` in from the environment, each value percent-encoded for the part it stands in.

    A value is not looked at again for names. One that stands before any `://` is a whole address, and goes in as it is.

    Args:
        address: as it was written.
        environ: the environment that is given to the source.
        where: the key of the workflow, for messages.

    Raises:
        WorkflowError: a name that `environ` does not have.
    """
    parts = _Parts.of(address)

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environ:
            raise WorkflowError(
                f"{where}: {{{name}}} cannot be filled in",
                expected=f"{name} in source_env, or in the worker's environment; Airflow's own variables do not count",
                found="no such variable",
                remedy=f"set it in source_env; where the braces belong to the address, write %7B{name}%7D",
            )
        return parts.encode(environ[name], match.start())

    return _PLACEHOLDER.sub(value, address)


def fill_text(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Fill `{NAME}` and `${NAME}` in as they are, in a text that is no address.

    Returns:
        The text and the names that `environ` does not have, each once; these stay as they are written.
    """
    missing = [name for name in dict.fromkeys(_PLACEHOLDER.findall(text)) if name not in environ]
    return _PLACEHOLDER.sub(lambda match: environ.get(match.group(1), match.group()), text), missing


def filled_values(address: str, environ: Mapping[str, str]) -> list[str]:
    """Return the values that fill the address, as they are and as they stand in it; names without one give none."""
    parts = _Parts.of(address)
    values: dict[str, None] = {}
    for match in _PLACEHOLDER.finditer(address):
        value = environ.get(match.group(1), "")
        values[value] = values[parts.encode(value, match.start())] = None
    return [value for value in values if value]


def names(address: str) -> set[str]:
    """Return the names of the environment that the address is filled with."""
    return set(_PLACEHOLDER.findall(address))


def placeholders(text: str) -> list[tuple[int, int]]:
    """Return where in a text `{NAME}` and `${NAME}` stand."""
    return [match.span() for match in _PLACEHOLDER.finditer(text)]


@dataclass(frozen=True)
class _Parts:
    """Where the parts of an address begin; where there is none, it begins where the address ends."""

    authority: int
    host: int
    path: int
    query: int

    @classmethod
    def of(cls, address: str) -> _Parts:
        mark = address.find("://")
        authority = len(address) if mark < 0 else mark + 3
        path = _position(re.search(r"[/?#]", address[authority:]), authority, len(address))
        query = _position(re.search(r"[?#]", address[authority:]), authority, len(address))
        return cls(authority, address.rfind("@", authority, path) + 1 or authority, path, query)

    def encode(self, value: str, position: int) -> str:
        if position < self.authority:
            return value
        if position < self.host or position >= self.query:
            return quote(value, safe="")
        return quote(value, safe=_SAFE_IN_HOST if position < self.path else _SAFE_IN_PATH)


def _position(match: re.Match[str] | None, offset: int, otherwise: int) -> int:
    return offset + match.start() if match else otherwise
