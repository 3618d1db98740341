"""The lines of a requirements file, as pip reads them: encodings, continuations, comments, options.

The format is described in pip's "Requirements File Format"; what of a line is what is told apart as pip does it, except
that `${NAME}` is text like any other.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nilus.errors import DependencyError
from nilus.values.redaction import redact_address
from nilus.values.secret_texts import cut

_COMMENT = re.compile(r"(^|\s+)#.*$")
_LONG_OPTION = re.compile(r"([^\s=]+)(?:\s*=\s*|\s+)?(.*)")
_LARGEST = 1_000_000
_LONGEST_SHOWN = 160
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links"}
# PowerShell writes UTF-16 when it redirects what `pip freeze` prints. UTF-32 begins like UTF-16: it comes first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, order=True)
class Origin:
    """Where something was written: the file's path in the repository, the number of the (first) line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LineError(Exception):
    """A line that is not allowed, or makes no sense: what was found, and what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


def lines_of(path: Path, name: str) -> Iterator[tuple[Origin, str]]:
    """Yield the lines that say something, joined where they are continued, without comments.

    Args:
        path: the file.
        name: what to call it.

    Raises:
        DependencyError: it is no text file, or too large to be a list of requirements.
    """
    whole, first = "", 0
    for number, line in enumerate([*_text(path, name).splitlines(), ""], start=1):
        first = first or number
        # A comment ends a continuation, as in pip.
        continued = line.endswith("\\") and not _COMMENT.match(line)
        whole += line[:-1] if continued else line
        if not continued:
            text = _COMMENT.sub("", whole).strip()
            if text:
                yield Origin(name, first), text
            whole, first = "", 0


def _text(path: Path, name: str) -> str:
    if not path.is_file():
        raise _unreadable(name, "no regular file")
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as problem:
        raise _unreadable(name, problem.strerror or str(problem)) from None
    if len(data) > _LARGEST:
        raise _unreadable(name, f"more than {_LARGEST:,} bytes")
    mark, encoding = next((pair for pair in _MARKS if data.startswith(pair[0])), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as problem:
        raise _unreadable(name, f"something at byte {problem.start} that is not {encoding}") from None
    if "\0" in text:
        raise _unreadable(name, "a NUL character")
    return text


def _unreadable(name: str, found: str) -> DependencyError:
    return DependencyError(
        f"{name} cannot be read as a list of requirements.",
        expected="a text file in UTF-8, or one with a byte order mark",
        found=found,
        remedy="Save it as UTF-8 text.",
    )


def split_option(text: str) -> tuple[str, str]:
    """Split an option line into the option's long name and its value: `-rfile`, `-r file`, `--requirement=file`."""
    if not text.startswith("--"):
        return _SHORT.get(text[:2], text[:2]), text[2:].strip()
    match = _LONG_OPTION.fullmatch(text)
    return (match[1], match[2].strip()) if match else (text, "")


def split_requirement(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Split a requirement's line into the requirement and its own options, as pairs (`--hash`, `sha256:…`)."""
    words = text.split(" ")
    count = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
    options = []
    rest = iter(word for word in words[count:] if word)
    for word in rest:
        option, equals, value = word.partition("=")
        options.append((option, value if equals else next(rest, "")))
    return " ".join(words[:count]).strip(), options


def redact_part(text: str) -> str:
    """Return a part of a line as it may be quoted: without credentials, not too long."""
    return cut(redact_address(text), _LONGEST_SHOWN)
