"""Resources that say they may run beside each other do, and files are loaded side by side.

Each of them waits at a barrier that opens when all have come: were one after the other, the first would wait in vain.
"""

from __future__ import annotations

import pytest

SOURCES = {
    "parallelized generators": """
import threading

import nilus

together = threading.Barrier(4, timeout=60)


def rows(number):
    together.wait()
    yield {"number": number}


@nilus.source
def crowd():
    for number in range(4):
        yield nilus.resource(rows, name=f"r{number}", parallelized=True)(number)
""",
    "async generators": """
import asyncio

import nilus

come = []


async def rows(number):
    come.append(number)
    async with asyncio.timeout(60):
        while len(come) < 4:
            await asyncio.sleep(0.01)
    yield {"number": number}


@nilus.source
def crowd():
    for number in range(4):
        yield nilus.resource(rows, name=f"r{number}")(number)
""",
    "deferred rows": """
import threading

import nilus

together = threading.Barrier(4, timeout=60)


@nilus.source
def crowd():
    for name in ("r0", "r1"):
        @nilus.resource(name=name)
        def numbers(first=2 * int(name[1])):
            for number in (first, first + 1):
                @nilus.defer
                def row(number=number):
                    together.wait()
                    return {"number": number}

                yield row()

        yield numbers
""",
}
CLASS = """

class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return crowd()
"""

LOADED_TOGETHER = """
import threading

from dlt.destinations.impl.filesystem.filesystem import FilesystemLoadJob

import nilus

together = threading.Barrier(4, timeout=60)
run = FilesystemLoadJob.run


def when_all_have_come(job):
    if "numbers" in job.job_file_info().table_name:
        together.wait()
    run(job)


FilesystemLoadJob.run = when_all_have_come


@nilus.resource
def numbers():
    yield from ({"number": number} for number in range(400))


class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return numbers
"""


@pytest.mark.parametrize("kind", SOURCES)
def test_resources_run_in_parallel_where_they_declare_it(kind, run_to_folder):
    outcome = run_to_folder(SOURCES[kind] + CLASS)
    tables = outcome.loaded.tables
    found = sorted(row["number"] for name in tables for row in run_to_folder.lake.rows(name))
    assert found == [0, 1, 2, 3]


def test_the_files_of_a_load_are_loaded_in_parallel(run_to_folder):
    run_to_folder(LOADED_TOGETHER, page_size=100, loader_file_size=100)
    assert len(run_to_folder.paths("numbers")) == 4
    assert len(run_to_folder.lake.rows("numbers")) == 400
