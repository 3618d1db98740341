"""State in XComs: runs go on from each other, run again, and notice what was lost."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def dag(numbers):
    return numbers.dag(state="xcom")


def _record(outcome):
    return json.loads(outcome.xcom("load", "nilus_state"))


def test_each_run_goes_on_from_the_one_before_and_pushes_the_whole_record(numbers, dag):
    for day, upto in ((1, 10), (2, 25), (3, 30)):
        numbers.run(dag, day, upto)
    numbers.holds(30)
    record = _record(numbers.outcomes[3])
    assert record["head"]["version"] == 3
    assert record["head"]["state"] == {"numbers": {"resources": {"numbers": {"last": 30}}}}
    assert [commit["run_id"] for commit in record["history"]] == [numbers.outcomes[day].run_id for day in (2, 1)]


def test_a_run_without_a_logical_date_is_refused_with_the_remedy(numbers, dag):
    (numbers.folder / "upto").write_text("5")
    error = numbers.error(numbers.run_dag(dag, logical_date=None))
    assert "has no logical date" in error
    assert 'state="variable"' in error


def test_the_newest_run_again_replaces_its_rows_although_airflow_has_removed_its_xcom(numbers, dag):
    numbers.run(dag, 1, 10)
    numbers.run(dag, 2, 20)
    outcome = numbers.again(dag, 2, 30)
    assert outcome.states == {"load": "success"}
    numbers.holds(30)
    numbers.run(dag, 3, 40)
    numbers.holds(40)


@pytest.mark.soak
def test_an_older_run_again_is_refused_and_its_rows_stay(numbers, dag):
    for day, upto in ((1, 10), (2, 20), (3, 30)):
        numbers.run(dag, day, upto)
    error = numbers.error(numbers.again(dag, 2, 40))
    assert "cannot be run again by itself" in error
    numbers.holds(30)
    numbers.run(dag, 4, 50)
    numbers.holds(50)


@pytest.mark.soak
def test_rewind_takes_later_runs_back_and_the_next_run_goes_on_from_the_older_one(numbers):
    dag = numbers.dag(state="xcom", on_rerun="rewind")
    for day, upto in ((1, 10), (2, 20), (3, 30)):
        numbers.run(dag, day, upto)
    outcome = numbers.again(dag, 2, 40)
    assert outcome.states == {"load": "success"}
    assert [commit["run_id"] for commit in _record(outcome)["history"]] == [numbers.outcomes[1].run_id]
    numbers.holds(40)
    numbers.run(dag, 4, 50)
    numbers.holds(50)
