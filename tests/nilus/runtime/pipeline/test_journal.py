"""The journal: one row a load, written before its rows, and what recovery needs of it."""

from __future__ import annotations

from datetime import UTC, datetime

import dlt
import pytest

from nilus.runtime.engine.context import config_values, isolation
from nilus.runtime.engine.pipeline_state import pipeline_name
from nilus.runtime.sinks import sink as sink_of

CODE = """
    @nilus.resource(write_disposition="append")
    def orders(run):
        state = nilus.current.resource_state()
        state["last"] = run
        yield {"id": run, "items": [{"sku": "a", "sizes": [1, 2]}]}

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, run=1, **kwargs):
            return orders(run)
"""
COLUMNS = (
    'load_id, state_key, dag_id, task_id, map_index, run_id, try_number, repository, "commit", source, reading,'
    " swept_at"
)


@pytest.fixture
def journal(run_source):
    """The journal of the sink, as a run of its own would see it."""

    def of(**options):
        job = run_source.job("", **options)
        with isolation(job.place.work_dir, config_values(job, {})):
            target = sink_of(job.sink)
            pipeline = dlt.pipeline(
                pipeline_name(job.run.state_key),
                pipelines_dir=job.place.work_dir,
                destination=target.destination(),
                dataset_name=job.sink.dataset,
            )
            pipeline.sync_destination()
            return target.journal(pipeline)

    return of


def test_every_load_has_a_row_that_says_whose_it_is(run_source):
    first = run_source(
        CODE, state_key="a key / with ümlauts", run_id="scheduled__1", logical_date="2026-01-02T03:00:00+02:00"
    )
    assert run_source.sink.rows(f"SELECT {COLUMNS} FROM raw._airflow_loads") == [
        (
            first.loaded.load_ids[0],
            "a key / with ümlauts",
            "shop",
            "load",
            -1,
            "scheduled__1",
            1,
            "https://example.org/sources",
            "c0ffee" + "0" * 34,
            "shop.py:Shop",
            "self-managed",
            None,
        )
    ]
    ((logical_date, started_at),) = run_source.sink.rows("SELECT logical_date, started_at FROM raw._airflow_loads")
    assert logical_date == datetime(2026, 1, 2, 1, tzinfo=UTC)
    assert abs(datetime.now(UTC) - started_at).total_seconds() < 300
    ids = run_source.sink.rows("SELECT load_id FROM raw._dlt_loads")
    assert ids == [(first.loaded.load_ids[0],)]


def test_a_row_has_the_interval_that_was_read(run_source):
    window = ("2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+02:00")
    run_source(CODE, interval=window)
    run_source(CODE, interval=None, options={"run": 2}, try_number=3)
    rows = run_source.sink.rows(
        "SELECT interval_start, interval_end, try_number FROM raw._airflow_loads ORDER BY load_id"
    )
    assert rows == [
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 22, tzinfo=UTC), 1),
        (None, None, 3),
    ]


def test_a_dataset_that_exists_without_a_journal_gets_one(run_source):
    run_source.sink.execute("CREATE SCHEMA raw", "CREATE TABLE raw.mine (id INTEGER)")
    run_source(CODE)
    assert run_source.sink.rows("SELECT count(*) FROM raw._airflow_loads") == [(1,)]
    assert run_source.sink.exists("mine")


def test_there_is_no_open_entry_where_there_is_no_journal(run_source, journal):
    assert journal().open_entries("shop.load") == []
    run_source.sink.execute("CREATE SCHEMA raw")
    assert journal().open_entries("shop.load") == []


def test_open_entries_tell_whether_they_landed(run_source, journal):
    ids = [run_source(CODE, options={"run": run}, run_id=f"r{run}").loaded.load_ids[0] for run in (1, 2, 3)]
    run_source(CODE, options={"run": 9}, state_key="another.key")
    run_source.sink.execute(f"DELETE FROM raw._dlt_loads WHERE load_id = '{ids[0]}'")
    found = journal()
    entries = found.open_entries("shop.load")
    assert [(entry.load_id, entry.run_id, entry.landed, entry.reading) for entry in entries] == [
        (ids[0], "r1", False, "self-managed"),
        (ids[1], "r2", True, "self-managed"),
        (ids[2], "r3", True, "self-managed"),
    ]
    assert [entry.load_id for entry in found.open_entries("shop.load", newer_than=ids[1])] == [ids[0], ids[2]]
    assert [entry.load_id for entry in found.open_entries("shop.load", newer_than=ids[2])] == [ids[0]]


def test_a_load_that_died_before_dlt_made_its_tables_has_not_landed(run_source, journal):
    load_id = run_source(CODE).loaded.load_ids[0]
    run_source.sink.execute("DROP TABLE raw._dlt_loads")
    assert [(entry.load_id, entry.landed) for entry in journal().open_entries("shop.load")] == [(load_id, False)]


def test_sweeping_a_load_removes_its_rows_from_every_table_and_marks_it(run_source, journal):
    first = run_source(CODE, max_table_nesting=2).loaded
    second = run_source(CODE, options={"run": 2}, max_table_nesting=2, state=first.state).loaded
    run_source.sink.execute("CREATE VIEW raw.totals AS SELECT _dlt_load_id, count(*) AS n FROM raw.orders GROUP BY 1")
    assert run_source.sink.tables() == {"orders": 2, "orders__items": 2, "orders__items__sizes": 4, "totals": 2}
    found = journal()
    assert found.sweep(second.load_ids[0], by="a test") == {
        "_dlt_pipeline_state": 1,
        "orders": 1,
        "orders__items": 1,
        "orders__items__sizes": 2,
    }
    assert run_source.sink.rows("SELECT id FROM raw.orders") == [(1,)]
    assert run_source.sink.tables() == {"orders": 1, "orders__items": 1, "orders__items__sizes": 2, "totals": 1}
    assert [entry.load_id for entry in found.open_entries("shop.load")] == first.load_ids
    assert run_source.sink.rows("SELECT count(*) FROM raw._airflow_loads WHERE swept_at IS NOT NULL") == [(1,)]


def test_a_load_that_never_began_is_withdrawn(run_source, journal):
    loaded = run_source(CODE).loaded
    found = journal()
    found.withdraw(loaded.load_ids[0])
    assert found.open_entries("shop.load") == []
    assert run_source.sink.rows("SELECT id FROM raw.orders") == [(1,)]


def test_the_state_a_load_carried_is_what_its_run_returned(run_source, journal):
    first = run_source(CODE).loaded
    second = run_source(CODE, options={"run": 2}, state=first.state).loaded
    unchanged = run_source(CODE, options={"run": 2}, state=second.state).loaded
    found = journal()
    assert found.carried_state(first.load_ids[0]) == first.state
    assert found.carried_state(second.load_ids[0]) == second.state
    assert found.carried_state(unchanged.load_ids[0]) is None
