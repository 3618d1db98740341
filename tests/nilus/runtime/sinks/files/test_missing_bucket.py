"""A bucket that is not there is made, wherever it is."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from file_lake import FileLake

SOURCE = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        yield nilus.resource([{"id": 1}], name="orders")
"""


@pytest.fixture(params=["us-east-1", "eu-west-1"])
def lake(s3: Any, request: pytest.FixtureRequest) -> Iterator[FileLake]:
    bucket = f"nilus-{secrets.token_hex(6)}"
    server = replace(s3, region=request.param)
    yield FileLake(f"s3://{bucket}/lake", server=server)
    server.drop_bucket(bucket)


def test_a_missing_bucket_is_made(lake: FileLake, run: Any) -> None:
    run.lake = lake

    run(SOURCE)

    assert lake.rows("orders")[0]["id"] == 1
