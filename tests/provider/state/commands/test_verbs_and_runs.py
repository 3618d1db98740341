"""Every refusal has a verb that leads out of it, and the run after it loads every row once."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def dag(numbers):
    return numbers.dag()


def _stored(key):
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.query(Variable).filter(Variable.key == f"nilus__{key}").one_or_none()


def _delete(key):
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(Variable).filter(Variable.key == f"nilus__{key}").delete()


def _record(key="d.load"):
    return json.loads(_stored(key).val)


def test_a_deleted_record_stops_the_next_run_and_adopt_leads_out(numbers, dag, verb):
    numbers.run(dag, 1, 10)
    _delete("d.load")
    error = numbers.error(numbers.run(dag, 2, 20))
    assert "which succeeded" in error
    assert "nilus-state adopt d.load" in error
    assert "nilus-state reset d.load" in error
    numbers.holds(10)
    assert "none -> none" in verb("adopt", "d.load", "--yes")
    assert numbers.run(dag, 3, 30).states == {"load": "success"}
    numbers.holds(30)
    assert "directive" not in _record()
    assert [commit["run_id"] for commit in _record()["history"]] == [numbers.outcomes[1].run_id]


def test_reset_forgets_the_record_and_the_next_run_removes_the_rows_and_loads_them_again(numbers, dag, verb):
    numbers.run(dag, 1, 10)
    numbers.run(dag, 2, 20)
    printed = verb("reset", "d.load", "--yes")
    assert "version  2 -> 3" in printed
    assert "removes the rows of all loads" in printed
    numbers.holds(20)
    numbers.run(dag, 3, 30)
    numbers.holds(30)
    assert numbers.deployment.rows("SELECT count(DISTINCT _dlt_load_id) FROM raw.numbers") == [(1,)]
    assert (_record()["head"]["version"], _record()["history"]) == (4, [])
    numbers.run(dag, 4, 35)
    numbers.holds(35)


@pytest.mark.soak
def test_reset_that_keeps_rows_accounts_for_them_and_loads_from_nothing(numbers, dag, verb):
    numbers.run(dag, 1, 10)
    _delete("d.load")
    verb("reset", "d.load", "--keep-rows", "--yes")
    numbers.run(dag, 2, 12)
    assert numbers.loaded() == sorted([*range(1, 11), *range(1, 13)])


@pytest.mark.soak
def test_a_retry_after_a_reset_does_not_load_twice(numbers, dag, verb):
    numbers.run(dag, 1, 10)
    verb("reset", "d.load", "--yes")
    (numbers.folder / "fail").touch()
    assert numbers.run(dag, 2, 20).states == {"load": "failed"}
    (numbers.folder / "fail").unlink()
    numbers.run(dag, 3, 30)
    numbers.holds(30)


@pytest.mark.soak
def test_rewind_goes_back_to_a_commit_and_the_rows_after_it_are_loaded_again(numbers, dag, verb):
    for day, upto in ((1, 10), (2, 20), (3, 30)):
        numbers.run(dag, day, upto)
    printed = verb("rewind", "d.load", "--to", "1", "--yes")
    assert "head     version 3" in printed
    assert f"-> version 1 of run {numbers.outcomes[1].run_id}" in printed
    numbers.run(dag, 4, 40)
    numbers.holds(40)
    assert [commit["version"] for commit in (_record()["head"], *_record()["history"])] == [5, 1]


def test_set_makes_a_state_of_ones_own_the_head(numbers, dag, verb, tmp_path):
    numbers.run(dag, 1, 10)
    file = tmp_path / "state.json"
    name = next(iter(_record()["head"]["state"]))
    file.write_text(json.dumps({name: {"resources": {"numbers": {"last": 15}}}}))
    verb("set", "d.load", "--file", str(file), "--yes")
    numbers.run(dag, 2, 20)
    assert numbers.loaded() == [*range(1, 11), *range(16, 21)]
