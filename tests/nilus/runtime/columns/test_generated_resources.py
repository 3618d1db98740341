"""Resources that hypothesis makes up, run by column and one by one: schemas, contents and state have to be equal."""

from __future__ import annotations

from pathlib import Path

import pytest
from compared_resources import compare

COUNT = 150
"""Resources of one part."""
# Three hundred in every run of the tests, two thousand in the long runs.
PARTS = [pytest.param(part, marks=[] if part < 2 else [pytest.mark.soak]) for part in range(15)]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", PARTS)
def test_generated_resources_make_the_same_tables(part: int, memory_folder: Path) -> None:
    comparison = compare(7_000 + part, COUNT, memory_folder)
    # What differs from dlt only in speed is of no use if nothing takes that way.
    assert comparison.by_column > COUNT / 4
