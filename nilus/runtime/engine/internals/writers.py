"""The writers of files, and the buffers in front of them."""

from __future__ import annotations

from typing import Any

from dlt.common.data_writers.writers import DataWriter, FileWriterSpec, ParquetDataWriter, TypedJsonlListWriter

__all__ = [
    "DataWriter",
    "FileWriterSpec",
    "ParquetDataWriter",
    "TypedJsonlListWriter",
    "holds_items",
    "write_held_items",
]


def holds_items(writer: Any) -> bool:
    """Tell whether a `BufferedDataWriter` has items that it has not handed to its writer yet."""
    return bool(writer._buffered_items_count)


def write_held_items(writer: Any) -> None:
    """Let a `BufferedDataWriter` hand its items to its writer."""
    writer._flush_items()
