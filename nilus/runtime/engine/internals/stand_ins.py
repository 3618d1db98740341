"""Classes of ours in the place of dlt's own, for the time of a block; they belong to the process, not to a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dlt.common.data_writers import writers
from dlt.common.json import json
from dlt.extract import extract, storage
from dlt.extract.pipe_iterator import PipeIterator
from dlt.extract.storage import ExtractorItemStorage
from dlt.normalize import worker
from dlt.normalize.items_normalizers.jsonl import JsonLItemsNormalizer

from nilus.runtime.engine.internals.writers import DataWriter

__all__ = [
    "ExtractorItemStorage",
    "JsonLItemsNormalizer",
    "PipeIterator",
    "as_item_iterator",
    "as_row_normalizer",
    "as_row_storage",
    "as_writer",
    "is_json_orjson",
    "replace_attribute",
]


@contextmanager
def as_item_iterator(kind: type[PipeIterator]) -> Iterator[None]:
    """Let dlt go through the items of resources by this class."""
    with replace_attribute(extract, "PipeIterator", kind):
        yield


@contextmanager
def as_row_storage(kind: type[ExtractorItemStorage]) -> Iterator[None]:
    """Let dlt keep extracted rows by this class."""
    with replace_attribute(storage, "ExtractorItemStorage", kind):
        yield


@contextmanager
def as_row_normalizer(kind: type[JsonLItemsNormalizer]) -> Iterator[None]:
    """Let dlt normalize extracted rows by this class."""
    with replace_attribute(worker, "JsonLItemsNormalizer", kind):
        yield


@contextmanager
def as_writer(kind: type[DataWriter]) -> Iterator[None]:
    """Let dlt write the format that a writer names by this class."""
    known: dict[Any, Any] = writers.WRITER_SPECS
    spec = kind.writer_spec()
    before = known[spec]
    known[spec] = kind
    try:
        yield
    finally:
        known[spec] = before


def is_json_orjson() -> bool:
    """Tell whether dlt writes JSON by orjson, and not by the package it falls back to."""
    name: str = json._impl_name
    return name == "orjson"


@contextmanager
def replace_attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give a class or module of dlt another attribute for the time of the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
