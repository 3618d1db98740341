"""Resources that hypothesis makes up, run by column and one by one: schemas, contents and state have to be equal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from both_ways import Resource, Seen, both, difference, different_tables
from dlt.extract.hints import HintsMeta
from generated_resources import named, resources, shown, smaller
from hypothesis import HealthCheck, Phase, given, seed, settings

GROUP = 25
PARTS = 8
"""Resources of one source; parts of the test, so that none takes too long."""


def _generated(number: int, count: int) -> list[Resource]:
    found: list[Resource] = []

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(resources())
    def collect(resource: Resource) -> None:
        found.append(resource)

    collect()
    return found


class Comparison:
    """Runs resources both ways, many at once, and finds the one that differs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compared = 0
        self.by_column = 0

    def run(self, group: dict[str, Resource], page_size: int | None) -> tuple[Seen, Seen]:
        try:
            return both(group, self.folder / "case", page_size=page_size)
        finally:
            shutil.rmtree(self.folder / "case")

    def check(self, group: list[Resource], page_size: int | None) -> None:
        tables = named(group)
        columns, rows = self.run(tables, page_size)
        if len(group) > 1 and (columns.error or rows.error):  # one of them is refused, and with it all
            failed = {*columns.failed, *rows.failed}
            for part in self._parted(tables, failed):
                self.check(part, page_size)
            return
        found = difference(columns, rows)
        if found is not None:
            pytest.fail("\n\n".join(self._explained(tables, columns, rows, page_size)) or found, pytrace=False)
        self.compared += len(group)
        self.by_column += sum(not columns.reasons(name) for name in tables)

    def _parted(self, tables: dict[str, Resource], failed: set[str]) -> list[list[Resource]]:
        """Return those that failed one by one and the others together; halves, where nobody knows which it was."""
        others = [resource for name, resource in tables.items() if name not in failed]
        if failed and others:
            return [*([tables[name]] for name in failed), others]
        group = list(tables.values())
        return [group[: len(group) // 2], group[len(group) // 2 :]]

    def _explained(
        self, tables: dict[str, Resource], columns: Seen, rows: Seen, page_size: int | None
    ) -> Iterator[str]:
        def differs(resource: Resource) -> bool:
            return difference(*self.run({"t": resource}, page_size)) is not None

        for name in different_tables(columns, rows, list(tables)) or list(tables):
            if differs(tables[name]):
                least = smaller(tables[name], differs)
                yield f"{shown(least)}, page_size={page_size}\n{difference(*self.run({'t': least}, page_size))}"
                return
        yield f"no resource differs alone, page_size={page_size}: {difference(columns, rows)}"
        yield from (f"{name}: {shown(resource)}" for name, resource in tables.items())


def _changes_hints(resource: Resource) -> bool:
    return any(isinstance(getattr(item, "meta", None), HintsMeta) for items in resource.runs for item in items)


def _groups(found: list[Resource]) -> Iterator[list[Resource]]:
    """Return the resources as the sources to run them in.

    An item that changes hints makes dlt forget what it settled about the schema contracts of all resources of a source,
    so that rows of another one are then discarded, or not, by which was asked first: these two do not go together.
    """
    changing = [resource for resource in found if _changes_hints(resource)]
    alone = [resource for resource in changing if "schema_contract" in resource.hints]
    others = [resource for resource in found if not any(resource is one for one in changing)]
    together = [resource for resource in changing if not any(resource is one for one in alone)]
    for resources_ in (others, together):
        yield from (resources_[index : index + GROUP] for index in range(0, len(resources_), GROUP))
    yield from ([resource] for resource in alone)


def _compare(number: int, count: int, folder: Path) -> Comparison:
    comparison = Comparison(folder)
    found = _generated(number, count)
    assert len(found) == count
    for index, group in enumerate(_groups(found)):
        comparison.check(group, [None, 2, 3][index % 3])
    assert comparison.compared == count
    return comparison


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where the machine has one: what is compared is not how it writes to a disk."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    folder = memory / f"nilus-{os.getpid()}-{tmp_path.name}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


# Two thousand in all; every run of the tests takes the half of them, the long runs the others.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.soak] if part >= PARTS // 2 else []) for part in range(PARTS)]
)
def test_two_thousand_generated_resources_make_the_same_tables(part: int, folder: Path) -> None:
    comparison = _compare(7_000 + part, 2_000 // PARTS, folder)
    # What differs from dlt only in speed is of no use if nothing takes that way.
    assert comparison.by_column > 2_000 // PARTS / 4


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(80))
def test_twenty_thousand_generated_resources_make_the_same_tables(part: int, folder: Path) -> None:
    _compare(50_000 + part, 250, folder)
