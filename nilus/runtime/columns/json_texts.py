"""The JSON of many values, each by itself."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any


def json_texts(values: Sequence[Any], dumps: Callable[[Any], bytes]) -> list[bytes | None]:
    """Return the JSON of each value; None for a None.

    All are written at once, with a mark between them that nobody can know, and parted again. orjson asks for a kilobyte
    whenever it is called and gives back what is too much, which is slow among many rows that are held: 1,000,000 small
    values took 2.1 s of a run one by one, and 0.2 s together.

    Args:
        values: any number of them.
        dumps: writes a value, without spaces.

    Raises:
        TypeError: a value cannot be written.
    """
    mark = secrets.token_hex(8)
    marked: list[Any] = [mark] * (2 * len(values) + 1)
    marked[1::2] = values
    try:
        # Before the first and behind the last there is a mark and nothing to part from it.
        parts = dumps(marked).split(b'"%b"' % mark.encode())[1:-1]
    except TypeError:  # or nested as deeply as may be, and one deeper in a list
        parts = []
    if len(parts) != len(values):
        return [None if value is None else dumps(value) for value in values]
    return [None if value is None else part[1:-1] for value, part in zip(values, parts, strict=True)]
