"""XComs that are gone are noticed, and a crash is told from a loss."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nilus.state.commands.definition import main


@pytest.fixture
def dag(numbers):
    return numbers.dag(state="xcom")


def test_trimmed_xcoms_are_not_taken_for_a_first_run_and_adopt_leads_out(numbers, dag, trim, capsys):
    numbers.run(dag, 1, 10)
    assert trim() == 1
    error = numbers.error(numbers.run(dag, 2, 20))
    assert "newer loads of 'd.load' than its record knows" in error
    assert "(which succeeded)" in error
    numbers.holds(10)
    main(["adopt", "d.load", "--dag-id", "d", "--task-id", "load", "--yes"])
    assert numbers.outcomes[2].run_id in capsys.readouterr().out
    assert numbers.run(dag, 3, 30).states == {"load": "success"}
    numbers.holds(30)


def test_a_run_that_died_before_it_pushed_its_record_is_made_good_by_its_retry(numbers, dies_before_its_record):
    dag = numbers.dag(state="xcom", retries=1, retry_delay=0)
    numbers.run(dag, 1, 10)
    dies_before_its_record()
    outcome = numbers.run(dag, 2, 20)
    assert outcome.states == {"load": "success"}
    assert outcome.task("load").try_number == 2
    numbers.holds(20)
    assert json.loads(outcome.xcom("load", "nilus_state"))["head"]["version"] == 2


@pytest.mark.soak
def test_a_run_that_died_for_good_is_adopted_by_the_next_one(numbers, dag, dies_before_its_record):
    numbers.run(dag, 1, 10)
    dies_before_its_record()
    assert numbers.run(dag, 2, 20).states == {"load": "failed"}
    outcome = numbers.run(dag, 3, 30)
    numbers.holds(30)
    record = json.loads(outcome.xcom("load", "nilus_state"))
    assert [commit["run_id"] for commit in record["history"]] == [
        numbers.outcomes[2].run_id,
        numbers.outcomes[1].run_id,
    ]
