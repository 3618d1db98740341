"""Runs at the same time: into one file, into one schema, into one table."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

ORDERS = """
    @nilus.resource{decorator}
    def orders(run):
        yield [{{"id": run * 1000 + n, "run": run}} for n in range(500)]

    class Shop(CustomSource):
        def nilus_source(self, uri, table, run, **kwargs):
            return orders(run)
"""
FOUR = """
    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            for name in ("one", "two", "three", "four"):
                yield nilus.resource(
                    lambda name=name: [{"id": name, name: 1}], name=name, table_name="all", write_disposition="append"
                )
"""


@pytest.fixture
def meeting(tmp_path):
    folder = tmp_path / "meeting"
    folder.mkdir()
    return folder


def _job(runner, checkout, run, **options):
    return runner.job(checkout, options={"run": run}, state_key=f"shop.{run}", run_id=f"r{run}", **options)


@pytest.mark.parametrize("strategy", ["append", "merge"])
def test_two_runs_into_one_duckdb_file_take_turns_and_say_so(run_duckdb, meeting, strategy):
    checkout = run_duckdb.checkout(ORDERS.format(decorator='(primary_key="id")'))
    files = {"REACHED": str(meeting / "reached"), "GO": str(meeting / "go")}
    first = _job(run_duckdb, checkout, 1, strategy=strategy)
    second = _job(run_duckdb, checkout, 2, strategy=strategy)
    with run_duckdb.beside(first, environ=files, entry="held") as one:
        one.reaches(meeting / "reached")
        with run_duckdb.beside(second, entry="impatient") as two:
            two.says("Waiting for another run that writes to")
            (meeting / "go").touch()
    assert (one.error, two.error) == (None, None)
    assert run_duckdb.sink.rows("SELECT run, count(*) FROM raw.orders GROUP BY run ORDER BY run") == [
        (1, 500),
        (2, 500),
    ]
    assert [line for line in two.log if "Waited" in line]


@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_two_runs_that_merge_into_one_table_do_not_mix_their_rows(run_postgres, meeting, strategy):
    checkout = run_postgres.checkout(ORDERS.format(decorator=""))
    files = {"REACHED": str(meeting / "reached"), "GO": str(meeting / "go")}
    options = {"strategy": strategy, "primary_key": ["id"]}
    with run_postgres.beside(_job(run_postgres, checkout, 1, **options), environ=files, entry="held") as one:
        one.reaches(meeting / "reached")
        with run_postgres.beside(_job(run_postgres, checkout, 2, **options), entry="impatient") as two:
            two.says("Waiting for another run that loads into table raw.orders")
            (meeting / "go").touch()
    assert (one.error, two.error) == (None, None)
    assert run_postgres.sink.rows("SELECT run, count(*) FROM raw.orders GROUP BY run ORDER BY run") == [
        (1, 500),
        (2, 500),
    ]


def test_a_run_that_appends_does_not_wait_for_one_that_merges(run_postgres, meeting):
    merging = run_postgres.checkout(ORDERS.format(decorator='(primary_key="id")'))
    files = {"REACHED": str(meeting / "reached"), "GO": str(meeting / "go")}
    with run_postgres.beside(_job(run_postgres, merging, 1, strategy="merge"), environ=files, entry="held") as one:
        one.reaches(meeting / "reached")
        appended = run_postgres(FOUR)
        assert appended.rows == {"all": 4}
        (meeting / "go").touch()
    assert one.error is None


def test_first_runs_that_make_the_same_tables_at_once_all_load(run_postgres, meeting):
    checkout = run_postgres.checkout(FOUR)
    names = ("one", "two", "three", "four")
    with ExitStack() as stack:
        environ = {"MEETING": str(meeting), "PARTIES": str(len(names))}
        runs = [
            stack.enter_context(
                run_postgres.beside(
                    run_postgres.job(checkout, state_key=f"shop.{name}", resources=[name]),
                    environ=environ,
                    entry="together",
                )
            )
            for name in names
        ]
    assert [run.error for run in runs] == [None] * 4
    assert run_postgres.sink.tables() == {"all": 4}
    columns = run_postgres.sink.columns("all")
    assert set(columns) == {"id", *names}
    assert run_postgres.sink.rows("SELECT count(*) FROM raw._airflow_loads") == [(4,)]
