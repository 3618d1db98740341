"""Ids of rows, made for many rows at once."""

from __future__ import annotations

import base64
import os
from typing import Any

from nilus.runtime.engine.internals.normalizer import DLT_ID_LENGTH_BYTES

_BYTES_OF_GROUP = 3
_CHARACTERS_OF_GROUP = 4
_BITS_OF_CHARACTER = 6


def random_ids(rows: int) -> Any:
    """Return an Arrow array of ids as dlt makes them: random bytes in base64, without its padding.

    Args:
        rows: how many.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    length = DLT_ID_LENGTH_BYTES
    groups = -(-length // _BYTES_OF_GROUP)
    drawn = os.urandom(length * rows)
    # Each id is filled up with zeros to whole groups of base64, so that all can be encoded in one go.
    filled = bytearray(groups * _BYTES_OF_GROUP * rows)
    for index in range(length):
        filled[index :: groups * _BYTES_OF_GROUP] = drawn[index * rows : (index + 1) * rows]
    width = groups * _CHARACTERS_OF_GROUP
    encoded = pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(base64.b64encode(filled))])
    kept = -(-length * 8 // _BITS_OF_CHARACTER)
    return pc.binary_slice(encoded, 0, kept).cast(pa.string())
