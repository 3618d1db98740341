"""Values that templates give to a workflow document: a token stands for each until the document has been parsed.

So whatever a value holds, it stays within the scalar its template stands in.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from nilus.errors import WorkflowError
from nilus.values import address
from nilus.values.redaction import kind

_OPENS, _CLOSES = "\uf8f0", "\uf8f1"
_CONTAINERS = (Mapping, list, tuple, set, frozenset)


class TemplatedText(str):
    """A text that holds values of templates.

    Attributes:
        placeholders: each `{NAME}` in it that did not stand in the text before its templates were rendered.
    """

    placeholders: tuple[str, ...]

    def __new__(cls, text: str, placeholders: tuple[str, ...] = ()) -> TemplatedText:
        made = super().__new__(cls, text)
        made.placeholders = placeholders
        return made


def mark_templated(value: Any) -> Any:
    """Return what came out of a template whole, its texts marked as such: no placeholder in them was an author's."""
    if isinstance(value, str):
        return TemplatedText(value, tuple(value[start:end] for start, end in address.placeholders(value)))
    if isinstance(value, Mapping):
        return {key: mark_templated(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mark_templated(item) for item in value]
    return value


class TemplateValues:
    """The values that the templates of one document gave."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        nonce = f"{secrets.randbelow(10**16):016}"
        self._start = f"{_OPENS}{nonce}-"
        self._token = re.compile(rf"{_OPENS}{nonce}-(\d{{1,9}}){_CLOSES}")

    def token(self, value: Any) -> str:
        """Return what stands for a value until the document is parsed."""
        text = str(value)  # here, since a value that is not defined raises
        self._values.append(value if isinstance(value, _CONTAINERS) else text)
        return f"{self._start}{len(self._values) - 1}{_CLOSES}"

    def restore(self, text: str, *, is_plain: bool = False) -> str:
        """Return a scalar with the values in place of their tokens; itself where it has none.

        Args:
            text: the scalar's.
            is_plain: it is written without quotes: a list or a mapping may have been meant.

        Raises:
            WorkflowError: a template gave a list or a mapping, or something rewrote a token.
        """
        if _OPENS not in text and _CLOSES not in text:
            return text
        whole = self._token.fullmatch(text)
        if is_plain and whole and isinstance(value := self._value(whole), _CONTAINERS):
            raise WorkflowError(
                f"A template in the workflow document gives {kind(value)}",
                expected="a single value: text, a number, true or false",
                found=kind(value),
                remedy="join a list, as in {{ names | join(',') }}; write mappings into the document, or give them "
                "by the operator's arguments",
            )
        parts: list[str] = []
        written: set[tuple[int, int]] = set()
        length = position = 0
        for match in [*self._token.finditer(text), None]:
            literal = text[position : match.start() if match else len(text)]
            if _OPENS in literal or _CLOSES in literal:
                raise WorkflowError(
                    "A template in the workflow document changes what another one gives",
                    expected="filters on the value itself, as in {{ name | upper }}",
                    found="a filter on a block of the document",
                    remedy="move the filter to the value",
                )
            written |= {(start + length, end + length) for start, end in address.placeholders(literal)}
            parts.append(literal)
            if match:
                parts.append(self.restore(str(self._value(match))))
                position = match.end()
            length = sum(map(len, parts))
        result = "".join(parts)
        spans = [span for span in address.placeholders(result) if span not in written]
        return TemplatedText(result, tuple(result[start:end] for start, end in spans))

    def _value(self, match: re.Match[str]) -> Any:
        return self._values[int(match.group(1))]
