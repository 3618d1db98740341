"""The rules of settling, each by itself, and a run that dies at each of its steps."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime

import pytest
from job_fixture import job_with, run_of
from memory_rows import MemoryRows

from nilus.errors import StateConflict
from nilus.protocol.job import SinkSpec, SourceSpec
from nilus.runtime.engine.internals.load_ids import load_id_after
from nilus.runtime.recovery import settle
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.rows.reading.decision import Reading

CURSOR = Reading("cursor", None, None, reads_state=True, keeps_state=True)
FULL = Reading("full", None, None, reads_state=False, keeps_state=False)
DAY = Reading(
    "windowed", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), reads_state=False, keeps_state=False
)


class Parent:
    """Airflow's side: who is alive, and which runs were cleared or have succeeded."""

    def __init__(self, live=(), **states):
        self.live, self.states = set(live), states

    def ask(self, question):
        entries = question.entries
        return {
            "live": [entry["load_id"] for entry in entries if entry["run_id"] in self.live],
            "states": {entry["load_id"]: self.states.get(entry["run_id"], "failed") for entry in entries},
        }

    def send(self, event):
        pass


def _job(run_id="a", try_number=1, map_index=-1, **options):
    return job_with(
        run=run_of(
            map_index=map_index, run_id=run_id, run_type="scheduled", try_number=try_number, repository="", commit="c"
        ),
        source=SourceSpec(address="custom://S", table="t"),
        sink=SinkSpec(address="", display_address="", dataset="raw"),
        checkout="",
        base_dir="",
        work_dir="",
        **options,
    )


def _landed(journal, load_id, job, reading=CURSOR, rows=1):
    journal.enter(job.run, reading, [load_id], source="s")
    journal.rows.loaded[load_id] = {"items": rows}
    journal.rows.complete.add(load_id)


def test_a_run_that_has_landed_since_this_one_looked_stops_it_before_it_loads():
    journal = Journal(MemoryRows())
    settlement = settle.settle(_job("a"), CURSOR, journal, Parent())
    _landed(journal, "1.5", _job("b"))
    journal.enter(_job("a").run, CURSOR, ["2.5"], source="s")
    with pytest.raises(StateConflict, match="has loaded meanwhile"):
        settle.confirm(_job("a"), CURSOR, settlement, ["2.5"], journal, Parent())
    assert set(journal.rows.entries) == {"1.5"}


def test_a_load_is_taken_over_before_its_rows_go_and_marked_after_in_one_step():
    steps = []
    journal = Journal(MemoryRows(steps.append))
    journal.enter(_job().run, CURSOR, ["1.5"], source="s")
    journal.rows.loaded["1.5"] = {"items": 3}
    del steps[:]
    assert journal.sweep("1.5", by="attempt 2 of run a", unfinished=True) == {"items": 3}
    assert steps == ["begin", "take", "delete", "mark", "end"]
    assert journal.rows.entries["1.5"]["taken_by"] == "attempt 2 of run a"


def test_a_load_that_lands_while_it_is_settled_stays_and_is_adopted():
    landing = ["1.5"]

    def land(step):
        if step == "take" and landing:
            journal.rows.complete.add(landing.pop())

    journal = Journal(MemoryRows(land))
    journal.enter(_job("a").run, CURSOR, ["1.5"], source="s")
    journal.rows.loaded["1.5"] = {"items": 3}
    settlement = settle.settle(_job("b"), CURSOR, journal, Parent())
    assert settlement.known == {"1.5"}
    assert journal.count("1.5") == {"items": 3}
    assert journal.rows.entries["1.5"]["taken_by"] is None


def test_mapped_tasks_that_share_a_key_do_not_sweep_each_other():
    journal = Journal(MemoryRows())
    for index in (0, 1):
        _landed(journal, f"{index + 1}.5", _job(map_index=index), FULL)
        _landed(journal, f"{index + 3}.5", _job(map_index=index), DAY)
    settle.settle(_job(try_number=2, map_index=1), FULL, journal, Parent())
    settle.settle(_job("b", map_index=1), DAY, journal, Parent())
    assert {load_id for load_id in journal.rows.loaded if journal.count(load_id)} == {"1.5", "3.5"}


def test_a_dead_window_is_swept_by_a_run_that_keeps_state_and_a_live_one_is_not():
    journal = Journal(MemoryRows())
    for number, run_id in ((1, "dead"), (2, "alive")):
        journal.enter(_job(run_id).run, DAY, [f"{number}.5"], source="s")
        journal.rows.loaded[f"{number}.5"] = {"items": 24}
    settle.settle(_job("b"), CURSOR, journal, Parent(live={"alive"}))
    assert (journal.count("1.5"), journal.count("2.5")) == ({}, {"items": 24})


def test_two_runs_of_one_window_do_not_load_at_once():
    journal = Journal(MemoryRows())
    settlement = settle.settle(_job("a"), DAY, journal, Parent())
    journal.enter(_job("b").run, DAY, ["1.5"], source="s")
    journal.enter(_job("a").run, DAY, ["2.5"], source="s")
    with pytest.raises(StateConflict, match="is loading"):
        settle.confirm(_job("a"), DAY, settlement, ["2.5"], journal, Parent(live={"b"}))
    with pytest.raises(StateConflict, match="is loading the same interval"):
        settle.settle(_job("c"), DAY, journal, Parent(live={"b"}))


def test_a_load_is_newer_than_every_one_of_its_key_in_record_and_journal():
    journal = Journal(MemoryRows())
    _landed(journal, "4000000000.25", _job())
    assert settle.newest(_job(known_load_ids=["3000000000.5"]), journal) == 4000000000.25
    assert settle.newest(_job(known_load_ids=["5000000000.5"]), journal) == 5000000000.5
    assert float(load_id_after(4000000000.25)) > 4000000000.25
    assert load_id_after(4000000000.25) > "4000000000.25", "by letters as well"


class DeadError(BaseException):
    """The process is gone: nothing may catch this."""


class Task:
    """A cursor task over a journal of one process, whose attempts die at a step."""

    def __init__(self):
        self.rows = MemoryRows(self._tick)
        self.record, self.left, self.loads = (0, ()), None, 0

    def _tick(self, _step):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise DeadError

    def run(self, run_id, try_number, upto, die_at=None):
        """Run an attempt; return whether it came to its end."""
        self.left = die_at
        try:
            self._attempt(run_id, try_number, upto)
        except DeadError:
            return False
        self.left = None
        return True

    def _attempt(self, run_id, try_number, upto):
        last, known = self.record
        job = _job(run_id, try_number, state={"last": last}, known_load_ids=list(known))
        journal = Journal(self.rows)
        parent = Parent()
        parent.send = self._adopt
        settlement = settle.settle(job, CURSOR, journal, parent)
        load_ids = [settlement.done.load_id] if settlement.done else []
        # What a load carried stands in its place here: its rows are the numbers it loaded.
        begins = max([last, *(max(self.contents(one), default=0) for one in settlement.known | set(load_ids))])
        if not load_ids and begins < upto:
            load_id = load_id_after(settle.newest(job, journal))
            journal.enter(job.run, CURSOR, [load_id], source="s")
            settle.confirm(job, CURSOR, settlement, [load_id], journal, Parent())
            for number in range(begins + 1, upto + 1):
                self._tick("row")
                self.rows.loaded.setdefault(load_id, {})[f"items {number}"] = 1
            self._tick("complete")
            self.rows.complete.add(load_id)
            load_ids = [load_id]
        self._tick("record")
        self.record = (begins if settlement.done else max(begins, upto), (*load_ids, *settlement.known))
        self._tick("end")

    def _adopt(self, event):
        self._tick("adopted")
        self.record = (max(self.contents(event.load_id)), (event.load_id, *self.record[1]))

    def contents(self, load_id):
        return [int(name.split()[1]) for name in self.rows.loaded.get(load_id, {})]

    def check(self, upto):
        found = Counter(number for load_id in self.rows.loaded for number in self.contents(load_id))
        assert found == Counter(range(1, upto + 1))
        assert all(load_id in self.rows.complete for load_id, rows in self.rows.loaded.items() if rows)


@pytest.mark.parametrize("next_run", [("b", 2), ("c", 1)], ids=["its retry", "the next run"])
@pytest.mark.parametrize("settling_dies", [False, True], ids=["", "dies too"])
def test_a_run_that_dies_at_any_step_leaves_every_row_once(next_run, settling_dies):
    run_id, try_number = next_run
    for step in range(100):
        for second in range(30) if settling_dies else (None,):
            task = Task()
            assert task.run("a", 1, 3)
            if task.run("b", 1, 6, die_at=step):
                assert step > 8, "there are steps to die at"
                return
            done = second is not None and task.run(run_id, try_number, 9, die_at=second)
            if not done:
                assert task.run(run_id, try_number + 1, 9)
            assert task.run("d", 1, 11)
            task.check(11)
    raise AssertionError("it never came to its end")


def test_the_entry_of_another_attempt_is_this_run_s_whatever_its_try():
    run = _job().run
    assert run.same_as(dataclasses.replace(run, try_number=7))
    assert not run.same_as(dataclasses.replace(run, run_id="b"))
