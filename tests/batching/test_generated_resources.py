"""Resources that hypothesis makes up, run by column and one by one: schemas, contents and state have to be equal."""

from __future__ import annotations

from pathlib import Path

import pytest
from compared_resources import compare

PARTS = 8
"""Parts of the test, so that none takes too long."""


# Two thousand in all; every run of the tests takes the half of them, the long runs the others.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.soak] if part >= PARTS // 2 else []) for part in range(PARTS)]
)
def test_two_thousand_generated_resources_make_the_same_tables(part: int, memory_folder: Path) -> None:
    comparison = compare(7_000 + part, 2_000 // PARTS, memory_folder)
    # What differs from dlt only in speed is of no use if nothing takes that way.
    assert comparison.by_column > 2_000 // PARTS / 4


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(80))
def test_twenty_thousand_generated_resources_make_the_same_tables(part: int, memory_folder: Path) -> None:
    compare(50_000 + part, 250, memory_folder)
