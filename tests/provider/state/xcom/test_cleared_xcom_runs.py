"""Runs that are cleared together, and dates that come out of order."""

from __future__ import annotations

import json

import pytest


def _clear_all(outcomes):
    """Clear task instances of several runs without running them, as Airflow's UI does with *Future*."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.utils.session import create_session

    with create_session() as session:
        runs = [outcome.run_id for outcome in outcomes]
        clear_task_instances(session.query(TaskInstance).filter(TaskInstance.run_id.in_(runs)).all(), session)


@pytest.mark.soak
@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_runs_that_were_cleared_together_give_every_row_once_in_whatever_order_they_come_back(order, numbers):
    dag = numbers.dag(state="xcom")
    for day, upto in ((1, 10), (2, 20), (3, 30)):
        numbers.run(dag, day, upto)
    _clear_all([numbers.outcomes[2], numbers.outcomes[3]])
    for upto, day in zip((35, 40), order, strict=True):
        assert numbers.again(dag, day, upto).states == {"load": "success"}
        numbers.holds(upto)
    outcome = numbers.run(dag, 4, 50)
    numbers.holds(50)
    record = json.loads(outcome.xcom("load", "nilus_state"))
    expected = [numbers.outcomes[day].run_id for day in (4, *reversed(order), 1)]
    assert [commit["run_id"] for commit in (record["head"], *record["history"])] == expected


def test_a_run_with_an_earlier_date_goes_on_from_the_newest_record(numbers):
    dag = numbers.dag(state="xcom")
    numbers.run(dag, 1, 10)
    numbers.run(dag, 9, 20)
    numbers.run(dag, 2, 30)
    numbers.holds(30)
    numbers.run(dag, 10, 40)
    numbers.holds(40)
    record = json.loads(numbers.outcomes[10].xcom("load", "nilus_state"))
    assert [commit["run_id"] for commit in record["history"]] == [numbers.outcomes[day].run_id for day in (2, 9, 1)]


@pytest.mark.soak
def test_a_renamed_dag_goes_on_with_the_old_key(numbers):
    numbers.run(numbers.dag(state="xcom"), 1, 10)
    renamed = numbers.dag("renamed", state="xcom", state_key="d.load")
    numbers.run(renamed, 2, 20)
    numbers.holds(20)
    numbers.run(renamed, 3, 30)
    numbers.holds(30)


@pytest.mark.soak
def test_mapped_tasks_keep_their_own_records(numbers):
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

    single = numbers.dag().get_task("load")
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator.partial(
            task_id="load", interval=None, state="xcom", repo=single.repo, source=single.source
        ).expand(sink=[{**single.sink, "options": {"dest-table": name}} for name in ("one", "two")])
    for day, upto in ((1, 10), (2, 20)):
        outcome = numbers.run(dag, day, upto)
    assert outcome.states == {"load[0]": "success", "load[1]": "success"}
    for index, schema in enumerate(("one", "two")):
        record = json.loads(outcome.xcom("load", "nilus_state", map_index=index))
        assert (record["key"], record["head"]["version"]) == (f"d.load.{index}", 2)
        assert numbers.deployment.rows(f"SELECT count(*), max(id) FROM {schema}.numbers") == [(20, 20)]
