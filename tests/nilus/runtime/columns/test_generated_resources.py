"""Resources that hypothesis makes up, run by column and one by one: schemas, contents and state have to be equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest
from compared_resources import compare

PARTS = 8
"""Parts of the test, so that none takes too long."""


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Which lines are run is not looked at: the named cases run them all, and looking doubles the time."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.stop()
    yield
    if measured is not None:
        measured.start()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.usefixtures("unmeasured")
def test_two_thousand_generated_resources_make_the_same_tables(part: int, memory_folder: Path) -> None:
    comparison = compare(7_000 + part, 2_000 // PARTS, memory_folder)
    # What differs from dlt only in speed is of no use if nothing takes that way.
    assert comparison.by_column > 2_000 // PARTS / 4


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(80))
def test_twenty_thousand_generated_resources_make_the_same_tables(part: int, memory_folder: Path) -> None:
    compare(50_000 + part, 250, memory_folder)
