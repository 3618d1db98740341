"""How much is read, and by how many threads: told by sources that count."""

from __future__ import annotations

import pytest

COUNTED = """
import pathlib

@nilus.resource
def pages():
    for number in range(1000):
        pathlib.Path(ASKED).write_text(str(number + 1))
        yield PAGE

class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return pages
"""

PAGES = {
    "a row": ('{"n": number}', 1),
    "a list of rows": ('[{"n": number}, {"n": -number}]', 2),
    "a DataFrame": ('__import__("pandas").DataFrame({"n": [number, -number]})', 2),
    "an Arrow table": ('__import__("pyarrow").table({"n": [number, -number]})', 2),
}

CROWD = """
import os
import threading

import nilus

PARTIES, RESOURCES = int(os.environ["PARTIES"]), int(os.environ["RESOURCES"])
together = threading.Barrier(PARTIES, timeout=60)
lock = threading.Lock()
inside = most = 0


def one(number):
    global inside, most
    with lock:
        inside += 1
        most = max(most, inside)
    together.wait()
    with lock:
        inside -= 1
    # Nobody counts a second time before all of the first have been counted out.
    together.wait()
    yield {"number": number, "thread": threading.current_thread().name, "most": most}


@nilus.source
def crowd():
    for number in range(RESOURCES):
        yield nilus.resource(one, name=f"r{number}", parallelized=True)(number)


class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return crowd()
"""


@pytest.mark.parametrize("page", PAGES)
def test_a_yield_limit_asks_for_no_more_pages_than_it_says(page, run_to_folder, tmp_path):
    text, rows = PAGES[page]
    asked = tmp_path / "asked"
    outcome = run_to_folder(COUNTED.replace("ASKED", repr(str(asked))).replace("PAGE", text), yield_limit=7)
    assert outcome.loaded.tables["pages"]["rows"] == 7 * rows
    # dlt asks once more to see that the limit is reached.
    assert int(asked.read_text()) <= 8


@pytest.mark.parametrize("workers", [1, 3])
def test_so_many_threads_extract_as_extract_parallelism_says(workers, run_to_folder):
    code = CROWD.replace('os.environ["PARTIES"]', repr(workers)).replace('os.environ["RESOURCES"]', repr(3 * workers))
    run_to_folder(code, extract_parallelism=workers)
    rows = [row for number in range(3 * workers) for row in run_to_folder.lake.rows(f"r{number}")]
    assert len(rows) == 3 * workers
    assert max(row["most"] for row in rows) == workers
    assert len({row["thread"] for row in rows}) == workers
    assert all("extract" in row["thread"] for row in rows)
