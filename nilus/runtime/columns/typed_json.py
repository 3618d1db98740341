"""Rows as JSON in which dlt's marks say what JSON has no type for, and texts that begin with such a mark stay texts.

dlt begins the text of a decimal, a moment or bytes with a character of Unicode's private use, and takes every text that
begins with one for that. Here such a text gets one more mark in front, which `escapes` lets dlt take off again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from nilus.runtime.engine.internals.marks import BYTES_MARK, ESCAPE_MARK, FIRST_MARK, MARK_BYTES, mark
from nilus.runtime.rows.steps.python_values import to_python
from nilus.runtime.rows.steps.sets_to_lists import sets_to_lists

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME
_BEGINS_WITH_MARK = b'"' + MARK_BYTES
_EMPTY_BYTES = BYTES_MARK + "="
"""Base64 of nothing that is more than the mark alone, which dlt would take for a text."""


def typed_json(value: Any, *, other_keys: bool = True, escapes: bool = True) -> bytes:
    """Return `value` as JSON with dlt's marks; sets become lists, values of numpy and pandas Python's own.

    Args:
        value: rows, or a part of them.
        other_keys: write keys that are not texts as texts.
        escapes: texts that begin with a mark are not dlt's: they are escaped.

    Raises:
        TypeError: it holds something that cannot be written.
        ValueError: it holds something that Python has no same value for.
    """
    options = _OPTIONS | (orjson.OPT_NON_STR_KEYS if other_keys else 0)
    encoder = _Encoder()
    written = orjson.dumps(value, encoder, options)
    if not escapes or written.count(_BEGINS_WITH_MARK) == encoder.marks:
        return written
    return orjson.dumps(escape(value), _encode_escaped, options | orjson.OPT_PASSTHROUGH_DATACLASS)


def escape(value: Any) -> Any:
    """Return a value in which each text that begins with a mark, at any depth, has one more in front.

    Args:
        value: what holds no such text is returned as an equal value.
    """
    if isinstance(value, str):
        return f"{ESCAPE_MARK}{value}" if FIRST_MARK <= value[:1] <= ESCAPE_MARK else value
    if isinstance(value, dict):
        return {key: escape(one) for key, one in value.items()}
    if isinstance(value, list) or type(value) is tuple:
        return [escape(one) for one in value]
    return value


class _Encoder:
    """Writes what JSON has no type for, and counts the marks."""

    def __init__(self) -> None:
        self.marks = 0

    def __call__(self, value: Any) -> Any:
        encoded = _encode(value)
        self.marks += type(encoded) is str
        return encoded


def _encode(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sets_to_lists(value)
    plain = to_python(value)
    if plain is not value:
        return plain
    if isinstance(value, Decimal) and not value.is_finite():
        return None
    return _EMPTY_BYTES if isinstance(value, bytes) and not value else mark(value)


def _encode_escaped(value: Any) -> Any:
    encoded = _encode(value)
    return encoded if type(encoded) is str else escape(encoded)
