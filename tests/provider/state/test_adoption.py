"""Complete loads that the record does not know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from job_fixture import job_with

from nilus.errors import StateConflict, StateError
from nilus.protocol.job import Run, SinkSpec, SourceSpec
from nilus.runtime.recovery.adoption import Decision, decide
from nilus.runtime.recovery.journal import Entry


def _job(**options):
    run = Run(
        state_key="k",
        dag_id="d",
        task_id="t",
        map_index=-1,
        run_id="me",
        run_type="scheduled",
        try_number=2,
        repository="",
        commit="c",
    )
    return job_with(
        run=run,
        source=SourceSpec(address="custom://S", table="t"),
        sink=SinkSpec(address="", display_address="", dataset="raw"),
        checkout="",
        base_dir="",
        work_dir="",
        **options,
    )


def _landed(*runs):
    return [
        Entry(
            load_id=f"{number}.5",
            state_key="k",
            dag_id="d",
            task_id="t",
            map_index=-1,
            run_id=run_id,
            try_number=1,
            commit="c",
            reading="cursor",
            started_at=datetime.now(UTC),
            landed=True,
        )
        for number, run_id in enumerate(runs, start=1)
    ]


class Parent:
    def __init__(self, moved=False, **states):
        self.moved, self.of_run = moved, states

    def ask(self, question):
        states = {entry["load_id"]: self.of_run.get(entry["run_id"], "failed") for entry in question.entries}
        return {"live": [], "states": states, "moved": self.moved}


def _summary(decision):
    return (decision.adopts.run_id if decision.adopts else None, decision.removes, decision.passed)


def test_nothing_is_asked_where_there_is_nothing():
    assert decide(_job(), [], None) == Decision()


@pytest.mark.parametrize("state", ["failed", "cleared", "running"])
def test_the_one_load_of_a_run_that_has_not_succeeded_is_adopted(state):
    assert _summary(decide(_job(), _landed("a"), Parent(a=state))) == ("a", (), ())


@pytest.mark.parametrize(("state", "says"), [("success", "which succeeded"), ("gone", "does not know")])
def test_the_one_load_of_a_run_that_succeeded_or_is_gone_means_that_the_record_was_lost(state, says):
    with pytest.raises(StateError, match="newer loads") as error:
        decide(_job(), _landed("a"), Parent(a=state))
    assert says in error.value.found
    assert "nilus-state adopt k" in error.value.remedy
    assert "nilus-state reset k" in error.value.remedy


def test_several_loads_mean_that_the_record_was_lost_and_the_newest_are_named():
    with pytest.raises(StateError) as error:
        decide(_job(), _landed(*"abcdefg"), Parent())
    assert error.value.found.startswith("7: 3.5 of run c, ")
    assert "and 2 older" in error.value.found


def test_several_loads_are_accounted_for_when_somebody_said_adopt():
    decision = decide(_job(adopt=True), _landed("a", "b"), Parent(a="success", b="success"))
    assert _summary(decision) == ("b", (), ("1.5", "2.5"))


def test_the_load_of_an_earlier_try_is_this_run_s_own_and_done():
    assert _summary(decide(_job(), _landed("me"), Parent())) == ("me", (), ())


def test_the_load_of_a_try_before_the_clear_is_replaced_or_left():
    assert _summary(decide(_job(first_try=2), _landed("me"), Parent())) == (None, ("1.5",), ())
    assert _summary(decide(_job(first_try=2, on_rerun="append"), _landed("me"), Parent())) == (None, (), ("1.5",))


def test_a_crashed_run_before_one_that_is_made_again_is_adopted():
    assert _summary(decide(_job(first_try=2), _landed("a", "me"), Parent())) == ("a", ("2.5",), ())


@pytest.mark.parametrize("job", [_job(first_try=2), _job(replaces=["0.5"])], ids=["own", "commits"])
def test_a_load_after_what_is_made_again_stops_the_run_unless_it_is_cleared_too(job):
    landed = _landed("me", "a")[0 if job.options.first_try == 2 else 1 :]
    with pytest.raises(StateError, match="made again"):
        decide(job, landed, Parent())
    assert "2.5" in decide(job, landed, Parent(a="cleared")).removes


def test_a_load_of_a_run_that_took_commits_back_and_died_is_adopted_by_the_next_run():
    (load,) = _landed("a")
    before = (load.started_at - timedelta(seconds=1)).isoformat()
    after = (load.started_at + timedelta(seconds=1)).isoformat()
    assert _summary(decide(_job(replaces=["0.5"], directed_at=before), [load], Parent())) == ("a", (), ())
    with pytest.raises(StateError, match="made again"):
        decide(_job(replaces=["0.5"], directed_at=after), [load], Parent())


def test_a_record_that_has_moved_is_a_conflict_that_may_be_tried_again():
    with pytest.raises(StateConflict) as error:
        decide(_job(), _landed("a"), Parent(moved=True))
    assert error.value.retryable
