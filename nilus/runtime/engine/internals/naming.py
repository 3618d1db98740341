"""How dlt shortens names that are longer than a destination takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dlt.common.normalizers.naming.naming import NamingConvention

__all__ = ["names_counted_in_bytes"]


@contextmanager
def names_counted_in_bytes() -> Iterator[None]:
    """Let dlt shorten names to so many bytes of UTF-8, and not characters, for the time of the block.

    A server that counts bytes cuts a name of other letters without a word: two of them become one, and the table of the
    first run is not found by the second. Names of ASCII are the same either way.
    """
    before = vars(NamingConvention)["shorten_identifier"]
    shorten: Any = NamingConvention.shorten_identifier

    def shorten_to_bytes(normalized_ident: str, identifier: str, max_length: int, *options: Any, **named: Any) -> str:
        if not max_length or len(normalized_ident.encode()) <= max_length:
            return normalized_ident
        if normalized_ident.isascii():
            return str(shorten(normalized_ident, identifier, max_length, *options, **named))
        # Of a name that is too long in any case, dlt puts a tag of its own making in the middle.
        tag: str = NamingConvention._compute_tag(identifier, NamingConvention._DEFAULT_COLLISION_PROB)
        room = max_length - len(tag)
        written = normalized_ident.encode()
        tail = room // 2
        head = written[: room - tail].decode(errors="ignore")
        return head + tag + written[len(written) - tail :].decode(errors="ignore")

    NamingConvention.shorten_identifier = staticmethod(shorten_to_bytes)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        NamingConvention.shorten_identifier = before  # type: ignore[method-assign]
