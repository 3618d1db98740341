"""The marks by which dlt keeps types in the JSON of extracted rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dlt.common.data_types import type_helpers
from dlt.common.json import _B64BYTES, DECODERS, PUA_CHARACTER_MAX, PUA_START, PUA_START_UTF8_MAGIC
from dlt.common.json import custom_pua_decode_nested as resolve_marks
from dlt.common.json import custom_pua_encode as mark

from nilus.runtime.engine.internals.stand_ins import replace_attribute

__all__ = ["BYTES_MARK", "ESCAPE_MARK", "FIRST_MARK", "MARK_BYTES", "escapes", "mark", "resolve_marks"]

MARK_BYTES: Final[bytes] = PUA_START_UTF8_MAGIC
"""What every mark begins with in UTF-8."""
FIRST_MARK: Final = chr(PUA_START)
BYTES_MARK: Final[str] = _B64BYTES
ESCAPE_MARK: Final = chr(PUA_START + PUA_CHARACTER_MAX)
"""The one behind dlt's marks: dlt looks for what decodes it, and has nothing."""


@contextmanager
def escapes() -> Iterator[None]:
    """Let dlt take the escape mark off texts, and nothing else off nested ones, for the time of the block."""
    decoders: list[Any] = DECODERS
    decoders.append(str)
    try:
        # All marks have been resolved when dlt does this: what looks like one is the source's.
        with replace_attribute(type_helpers, "custom_pua_remove", _same):
            yield
    finally:
        decoders.pop()


def _same(value: Any) -> Any:
    return value
