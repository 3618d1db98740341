"""Secrets in texts: the forms in which they turn up, how they are blanked, how a text is cut without showing a part.

A secret is recognised whole or not at all. So a text is cut after it was masked; and since it may be masked again by
something that knows more secrets, the word at the cut goes with the rest.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "***"

LONGEST_SECRET: Final = 4_096
"""Characters; a word that is longer is not one."""

_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_ANY = "surrogatepass"
_GAPS = " \t\r\n&?,;\"'"


def forms(secret: str) -> Iterator[str]:
    """Yield the forms of a secret, each once; nothing for an empty one.

    They are: as it is, percent-encoded in each way and letter case, in base64 with and without padding, escaped as
    Python and JSON write it inside quotes, and, for one of several lines (a private key), each line: a log is masked
    line by line.
    """
    if not secret:
        return
    lines = [line.strip() for line in secret.splitlines()]
    encoded = [
        quote(secret, safe="", errors=_ANY),
        quote(secret, errors=_ANY),
        quote_plus(secret, errors=_ANY),
    ]
    data = secret.encode("utf-8", _ANY)
    based = [encode(data).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    seen: set[str] = set()
    for form in (
        secret,
        *encoded,
        *(_ESCAPE.sub(lambda found: found[0].lower(), text) for text in encoded),
        *based,
        *(text.rstrip("=") for text in based),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        *(lines if len(lines) > 1 else ()),
    ):
        if form and form not in seen:
            seen.add(form)
            yield form


def blank(text: str, secrets: Iterable[str]) -> str:
    """Return the text with `***` for every form of every secret, the longest first: one may be part of another."""
    found = {form for secret in secrets for form in forms(secret)}
    for form in sorted(found, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def cut(text: str, limit: int, mark: str = "…") -> str:
    """Return the beginning of a text that is too long, without the word at the cut: it may be a part of a secret.

    Args:
        text: already without the secrets that are known here.
        limit: the number of characters of it that are kept at most.
        mark: what stands where something was left out.
    """
    return text if len(text) <= limit else _whole_words(text[:limit]) + mark


def cut_middle(text: str, limit: int, mark: str = "\n[…]\n") -> str:
    """Return the beginning and the end of a text that is too long, without the words at the cuts.

    Args:
        text, limit, mark: as of `cut`.
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{_whole_words(text[:half])}{mark}{_whole_words(text[: -half - 1 : -1])[::-1]}"


def _whole_words(text: str) -> str:
    # Of a word that is too long for one, a secret may still be the end.
    return text[: max(len(text) - LONGEST_SECRET, *(text.rfind(gap) + 1 for gap in _GAPS))]
