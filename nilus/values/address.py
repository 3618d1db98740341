"""Addresses of sources and sinks: the class that `custom://<ClassName>?…` names, and what `{NAME}` is filled with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from nilus.errors import SourceError, WorkflowError

_LINE_BREAK = re.compile(r"[ \t]*[\r\n]+[ \t]*")
# What YAML makes of a line break before or after the separator of a parameter.
_BESIDE_SEPARATOR = re.compile(r"\s+(?=[?&][\w.\-]+=)|(?<=[?&])\s+(?=[\w.\-]+=)")
_PLACEHOLDER = re.compile(r"\$?\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SAFE_IN_HOST = ":[],"
_SAFE_IN_PATH = "/:@!$&'()*+,;="
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")


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
