"""Verbs on records in XComs, and the runs after them."""

from __future__ import annotations

import json

import pytest


def test_rewind_and_reset_of_a_record_in_xcoms_lead_the_next_run(numbers, verb):
    dag = numbers.dag(state="xcom")
    numbers.run(dag, 1, 10)
    numbers.run(dag, 2, 20)
    assert f"XCom of d.load, run {numbers.outcomes[2].run_id}" in verb("list")
    assert len(json.loads(verb("history", "d.load", "--json"))) == 2
    assert "Done: version 3" in verb("rewind", "d.load", "--to", "1", "--yes")
    numbers.run(dag, 3, 30)
    numbers.holds(30)
    verb("reset", "d.load", "--yes")
    numbers.run(dag, 4, 40)
    numbers.holds(40)
    assert numbers.deployment.rows("SELECT count(DISTINCT _dlt_load_id) FROM raw.numbers") == [(1,)]


def test_a_record_is_not_written_where_a_task_instance_is_about_to_remove_it(numbers, verb):
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    numbers.run(numbers.dag(state="xcom"), 1, 10)
    with create_session() as session:
        session.query(TaskInstance).update({"state": "queued"})
    with pytest.raises(SystemExit, match="no XCom in which") as ended:
        verb("reset", "d.load", "--yes")
    assert "is not over" in str(ended.value)
