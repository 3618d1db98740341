"""What a source does to its process: other processes it starts, its end, signals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nilus.errors import NilusError, SourceError

OTHER_PROCESSES = """
    import multiprocessing

    def square(number):
        return {"id": number * number}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            @nilus.resource
            def orders():
                for method in ("spawn", "forkserver"):
                    with multiprocessing.get_context(method).Pool(1) as pool:
                        yield pool.map_async(square, [1, 2]).get(timeout=100)

            return orders
"""


@pytest.mark.parametrize("base_dir", [".", "my-sources", "2024.sources", "sources"])
def test_processes_that_a_source_starts_import_its_modules(run_duckdb, base_dir):
    name = "shop.py" if base_dir == "." else f"{base_dir}/shop.py"
    checkout = run_duckdb.checkout({name: OTHER_PROCESSES})
    job = run_duckdb.job(checkout)
    job = replace(job, place=replace(job.place, base_dir=str(checkout / base_dir)))
    run_duckdb.child(job).run()
    assert run_duckdb.sink.rows("SELECT id FROM raw.orders ORDER BY id") == [(1,), (1,), (4,), (4,)]


@pytest.mark.parametrize("code", ["0", "3", "'enough'", ""])
def test_a_resource_that_exits_fails_the_run_whatever_its_code(run_duckdb, code):
    source = f"""
        import sys

        @nilus.resource
        def orders():
            yield {{"id": 1}}
            sys.exit({code})

        class Shop(CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return orders
    """
    with pytest.raises(SourceError, match="The source ended the process instead of returning"):
        run_duckdb(source)
    assert not run_duckdb.sink.exists("orders")


def test_sigterm_runs_what_the_source_has_in_finally(run_duckdb, tmp_path):
    source = f"""
        import os, signal
        from pathlib import Path

        @nilus.resource
        def orders():
            try:
                yield {{"id": 1}}
                yield {{"id": 2}}
            finally:
                Path({str(tmp_path / "left")!r}).write_text("orders")

        @nilus.resource
        def ended():
            yield {{"id": 1}}
            os.kill(os.getpid(), signal.SIGTERM)

        class Shop(CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return orders, ended
    """
    with pytest.raises(NilusError):
        run_duckdb(source)
    assert Path(tmp_path / "left").read_text() == "orders", "a generator that was waiting is closed"
