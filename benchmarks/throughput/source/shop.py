"""Rows of several shapes, one by one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from urllib.parse import parse_qs, urlsplit

import nilus
from nilus import CustomSource

START = datetime(2024, 1, 1, tzinfo=UTC)
PADDING = "x" * 10_000


def simple(rows):
    for i in range(rows):
        yield {
            "id": i,
            "amount": i * 7,
            "price": i * 0.5,
            "paid": i % 2 == 0,
            "name": f"name {i}",
            "country": "constant text",
            "city": f"city {i % 100}",
            "created_at": START + timedelta(seconds=i),
        }


def rich(rows):
    for i in range(rows):
        yield {
            "id": i,
            "price": i * 0.25,
            "name": f"name {i}",
            "paid": i % 3 == 0,
            "created_at": f"2024-01-{i % 28 + 1:02d}T10:{i % 60:02d}:00.123Z",
            "total": Decimal(i) / 100,
            "details": {"number": i, "tags": ["x", "y"], "more": {"note": None}},
            "seldom": i if i % 9 == 0 else None,
        }


def wide(rows):
    for i in range(rows):
        yield {f"column_{number}": i * number for number in range(200)}


def long(rows):
    for i in range(rows):
        yield {"id": i, "text": f"{i:09d}{PADDING}"}


def deep(rows):
    for i in range(rows):
        value = {"number": i, "note": None}
        for level in range(20):
            value = {"level": level, "tags": ["x", "y"], "more": value}
        yield {"id": i, "name": f"name {i}", "details": value}


def mixed(rows):
    for i in range(rows):
        yield {"id": i, "value": i if i % 2 else f"text {i}", "price": i * 0.5, "name": f"name {i}"}


def lists(rows):
    left = simple(rows)
    while page := list(islice(left, 10_000)):
        yield page


def frames(rows):
    import pandas as pd

    for page in lists(rows):
        yield pd.DataFrame(page)


def arrow(rows):
    import pyarrow as pa

    for page in lists(rows):
        yield pa.Table.from_pylist(page)


SHAPES = {
    "simple": simple, "rich": rich, "wide": wide, "long": long, "deep": deep, "mixed": mixed,
    "lists": lists, "frames": frames, "arrow": arrow,
}  # fmt: skip


class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):  # noqa: ARG002 - the signature is the contract's
        options = parse_qs(urlsplit(uri).query)
        rows = SHAPES[options["shape"][0]]
        return nilus.resource(rows(int(options["rows"][0])), name="items", write_disposition="append")
