"""The address of a custom source, `custom://<ClassName>?…`: read, never rewritten."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nilus.errors import SourceError

_LINE_BREAK = re.compile(r"[ \t]*[\r\n]+[ \t]*")
# What YAML makes of a line break before or after the separator of a parameter.
_BESIDE_SEPARATOR = re.compile(r"\s+(?=[?&][\w.\-]+=)|(?<=[?&])\s+(?=[\w.\-]+=)")
_PLACEHOLDER = re.compile(r"\$?\{([A-Za-z_][A-Za-z0-9_]*)\}")
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


def fill(address: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Fill `{NAME}` and `${NAME}` in from the environment.

    A value goes in as it is: not encoded, and not looked at again for names. A name that `environ` does not have may be
    part of a template or of JSON in the address: it stays as it is written.

    Returns:
        The address and the names that `environ` does not have, each once.
    """
    missing: dict[str, None] = {}

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in environ:
            return environ[name]
        missing[name] = None
        return match.group()

    return _PLACEHOLDER.sub(value, address), list(missing)


def names(address: str) -> set[str]:
    """Return the names of the environment that the address is filled with."""
    return set(_PLACEHOLDER.findall(address))
