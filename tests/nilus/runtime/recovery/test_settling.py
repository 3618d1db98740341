"""The order in which a run settles what others left: each step, on a journal in memory."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from job_fixture import job_with, run_of
from memory_rows import MemoryRows

from nilus.errors import StateConflict
from nilus.protocol.job import SinkSpec, SourceSpec
from nilus.runtime.recovery import settle
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.rows.reading.decision import Reading

CURSOR = Reading("cursor", None, None, reads_state=True, keeps_state=True)
FULL = Reading("full", None, None, reads_state=False, keeps_state=False)


class Steps(MemoryRows):
    """Rows that say in `steps` what is done to them; `states` are what loads carried."""

    def __init__(self):
        super().__init__()
        self.steps, self.states = [], {}
        self.lands_when_taken = set()

    @contextmanager
    def settling(self):
        self.steps.append("begin")
        with super().settling():
            yield
        self.steps.append("commit")

    def take(self, load_id, by):
        self.steps.append(("take", load_id, by is not None))
        super().take(load_id, by)
        if by and load_id in self.lands_when_taken:
            self.complete.add(load_id)

    def has_landed(self, load_id):
        self.steps.append(("look", load_id))
        return super().has_landed(load_id)

    def delete(self, load_id, kept):
        self.steps.append(("delete", load_id))
        return {}

    def mark(self, load_id, swept_at):
        self.steps.append(("mark", load_id))
        super().mark(load_id, swept_at)

    def state(self, load_id):
        return self.states.get(load_id)

    def count(self, load_id):
        return {}


class Parent:
    """Says which loads are alive, and notes in the rows' steps what it is asked and told."""

    def __init__(self, rows, live=()):
        self.rows, self.live, self.adopted = rows, set(live), []

    def ask(self, question):
        self.rows.steps.append("ask to take back" if question.taking_back else "ask")
        return {"live": [one["load_id"] for one in question.entries if one["load_id"] in self.live], "states": {}}

    def send(self, event):
        self.adopted.append(event)


@pytest.fixture
def rows():
    return Steps()


@pytest.fixture
def journal(rows):
    return Journal(rows)


def job_of(run_id="b", *, map_index=-1, try_number=1, **arguments):
    return job_with(
        run=run_of(
            map_index=map_index, run_id=run_id, run_type="scheduled", try_number=try_number, repository="", commit="c"
        ),
        source=SourceSpec(address="custom://S", table="t"),
        sink=SinkSpec(address="", display_address="", dataset="raw"),
        **arguments,
    )


def enter(journal, load_id, *, reading=CURSOR, landed=False, **run):
    journal.enter(job_of(**run).run, reading, [load_id], source="s")
    if landed:
        journal.rows.complete.add(load_id)
    journal.rows.steps.clear()


def test_the_right_to_write_goes_first_then_it_is_looked_and_all_of_it_is_one_commit(rows, journal):
    enter(journal, "1.0", run_id="a")
    settle.settle(job_of(), CURSOR, journal, Parent(rows))
    begin = rows.steps.index("begin")
    assert rows.steps[begin:] == [
        "begin",
        ("take", "1.0", True),
        ("look", "1.0"),
        ("delete", "1.0"),
        ("mark", "1.0"),
        "commit",
    ]


def test_a_load_that_lands_before_its_right_is_taken_stays_and_gets_it_back(rows, journal):
    enter(journal, "1.0", run_id="a")
    rows.lands_when_taken.add("1.0")
    assert journal.sweep("1.0", by="attempt 1 of run b", unfinished=True) is None
    assert ("take", "1.0", False) in rows.steps
    assert not [step for step in rows.steps if step[0] in ("delete", "mark")]


def test_the_record_is_written_before_the_rows_that_are_taken_back_go(rows, journal):
    enter(journal, "1.0", run_id="b", landed=True)
    settle.settle(job_of(replaces=["1.0"], known_load_ids=["1.0"]), CURSOR, journal, Parent(rows))
    assert rows.steps.index("ask to take back") < rows.steps.index(("delete", "1.0"))


def test_mapped_tasks_that_share_a_key_do_not_sweep_each_other(rows, journal):
    enter(journal, "1.0", reading=FULL, run_id="b", map_index=0, landed=True)
    enter(journal, "2.0", reading=FULL, run_id="b", map_index=1, landed=True)
    settle.settle(job_of(map_index=1, try_number=2), FULL, journal, Parent(rows))
    assert [step for step in rows.steps if step[0] == "delete"] == [("delete", "2.0")]


def test_what_a_live_run_is_loading_is_not_swept(rows, journal):
    enter(journal, "1.0", reading=FULL, run_id="a")
    settle.settle(job_of(), FULL, journal, Parent(rows, live=["1.0"]))
    assert not [step for step in rows.steps if step[0] in ("take", "delete")]
    enter(journal, "2.0", run_id="a")
    with pytest.raises(StateConflict, match="is loading"):
        settle.settle(job_of(), CURSOR, journal, Parent(rows, live=["1.0", "2.0"]))


def test_an_adopted_load_without_a_state_takes_the_one_before(rows, journal, monkeypatch):
    enter(journal, "1.0", run_id="b", landed=True)
    enter(journal, "2.0", run_id="b", landed=True)
    states = {"1.0": {"shop": {"last": 7}}, "2.0": None}
    monkeypatch.setattr(Journal, "carried_state", lambda self, load_id: states[load_id])
    assert settle.settle(job_of(state={"shop": {"last": 1}}), CURSOR, journal, Parent(rows)).state == states["1.0"]


@pytest.mark.parametrize("landed", [True, False])
def test_the_second_look_sees_who_entered_meanwhile_landed_or_live_and_withdraws(landed, rows, journal):
    job = job_of()
    settlement = settle.settle(job, CURSOR, journal, Parent(rows))
    enter(journal, "1.0", run_id="a", landed=landed)
    enter(journal, "2.0")
    with pytest.raises(StateConflict, match="has loaded meanwhile" if landed else "is loading"):
        settle.confirm(job, CURSOR, settlement, ["2.0"], journal, Parent(rows, live=[] if landed else ["1.0"]))
    assert [entry.load_id for entry in journal.open_entries("k")] == ["1.0"]


def test_a_run_that_is_made_again_removes_its_own_load_and_no_other(rows, journal):
    enter(journal, "1.0", reading=FULL, run_id="a", landed=True)
    enter(journal, "2.0", reading=FULL, run_id="b", landed=True)
    settle.settle(job_of(try_number=2), FULL, journal, Parent(rows))
    assert [step for step in rows.steps if step[0] == "delete"] == [("delete", "2.0")]
