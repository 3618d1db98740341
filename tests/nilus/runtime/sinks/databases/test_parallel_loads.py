"""Runs at once into one schema: none loses rows, none fails for the other's sake."""

from __future__ import annotations

import json
import threading

import pytest
from run_fixture import PipelineRunner

from nilus.errors import DestinationError
from nilus.protocol.job import SinkSpec
from nilus.runtime.sinks.databases import waiting
from nilus.runtime.sinks.databases.sqlite import SQLiteSink

RUNS = 3
SOURCE = """
class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return orders

@nilus.resource({hints})
def orders():
    for number in range({number} * 1000, {number} * 1000 + 500):
        yield {{"id": number, "run": {number}, "parts": [{{"n": n}} for n in range(2)]}}
"""


def at_once(shop, hints, **options):
    jobs = [
        shop.job(
            SOURCE.format(hints=hints, number=number), state_key=f"shop.load{number}", run_id=f"r{number}",
            max_table_nesting=1, **options,
        )
        for number in range(RUNS)
    ]  # fmt: skip
    started = [PipelineRunner.start(job) for job in jobs]
    results = [PipelineRunner.wait(*run) for run in started]
    failed = [result for result, _ in results if isinstance(result, dict)]
    assert not failed, json.dumps(failed, indent=1)


@pytest.mark.parametrize(
    ("hints", "options"),
    [
        ("", {"strategy": "append"}),
        ("primary_key='id'", {"strategy": "merge"}),
    ],
    ids=["append", "merge"],
)
def test_runs_that_make_the_same_tables_at_once_all_load(shop, hints, options):
    at_once(shop, hints, **options)
    assert shop.rows("SELECT count(*), count(DISTINCT id), count(DISTINCT run) FROM raw.orders") == [
        (RUNS * 500, RUNS * 500, RUNS)
    ]
    assert shop.rows("SELECT count(*) FROM raw.orders__parts") == [(RUNS * 1000,)]
    assert shop.rows("SELECT count(DISTINCT load_id) FROM raw._airflow_loads") == [(RUNS,)]
    assert shop.rows("SELECT count(*) FROM raw._dlt_loads WHERE status = 0") == [(RUNS,)]


def test_replaced_tables_hold_the_rows_of_one_run_and_not_of_several(shop):
    at_once(shop, "", strategy="replace")
    assert shop.rows("SELECT count(*), count(DISTINCT run) FROM raw.orders") == [(500, 1)]
    assert shop.rows("SELECT count(*) FROM raw.orders__parts") == [(1000,)]


def test_runs_into_one_sqlite_file_take_turns_and_waiting_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(waiting, "_POLL_SECONDS", 0.01)
    spec = SinkSpec(address=f"sqlite:///{tmp_path}/lake.db", display_address="lake", dataset="raw")
    entered = threading.Event()
    with SQLiteSink(spec).exclusive():
        with pytest.raises(DestinationError, match="Waited too long for another run"), SQLiteSink(spec).exclusive():
            entered.set()
        assert not entered.is_set()
    with SQLiteSink(spec).exclusive():
        pass
