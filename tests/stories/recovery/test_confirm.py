"""Two runs of one key that enter the journal at the same time: never both load."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations

import pytest

from nilus.errors import StateConflict
from nilus.protocol.job import Job, Run, SinkSpec, SourceSpec
from nilus.runtime.recovery import settle
from nilus.runtime.recovery.journal import Entry
from nilus.runtime.rows.reading.decision import Reading

CURSOR = Reading("cursor", None, None, reads_state=True, keeps_state=True)


@dataclass
class SharedJournal:
    """A journal both runs see at once, as the table in the sink is."""

    entries: dict = field(default_factory=dict)
    landed: set = field(default_factory=set)

    def enter(self, run, load_id):
        self.entries[load_id] = run

    def open_entries(self, state_key, *, newer_than=None, run_id=None):
        return [
            Entry(
                load_id=load_id,
                state_key=run.state_key,
                dag_id=run.dag_id,
                task_id=run.task_id,
                map_index=run.map_index,
                run_id=run.run_id,
                try_number=1,
                commit=run.commit,
                reading="cursor",
                started_at=datetime.now(UTC),
                landed=load_id in self.landed,
            )
            for load_id, run in self.entries.items()
            if load_id not in self.landed or newer_than is None or float(load_id) > float(newer_than)
        ]

    def withdraw(self, load_id):
        del self.entries[load_id]

    def sweep(self, load_id, *, kept=()):
        raise AssertionError("nothing may be removed: both runs are alive")

    def carried_state(self, load_id):
        return None

    def rows(self, load_id):
        return {}


class BothAlive:
    def ask(self, question):
        return {"live": [entry["load_id"] for entry in question.entries]}

    def send(self, event):
        pass


def _job(run_id):
    run = Run(
        state_key="k",
        dag_id="d",
        task_id="t",
        map_index=-1,
        run_id=run_id,
        run_type="scheduled",
        try_number=1,
        repository="",
        commit="c",
    )
    return Job(
        run=run,
        source=SourceSpec(address="custom://S", table="t"),
        sink=SinkSpec(address="", display_address="", dataset="raw"),
        checkout="",
        base_dir="",
        work_dir="",
    )


def _steps(journal, run_id, load_id, loaded):
    """The steps of one run that touch what both share; a generator that stops between them."""
    job, channel = _job(run_id), BothAlive()
    settlement = settle.settle(job, CURSOR, journal, channel)
    yield
    journal.enter(job.run, load_id)
    yield
    settle.confirm(job, settlement, [load_id], journal, channel)
    yield
    loaded.append(run_id)
    journal.landed.add(load_id)


ORDERS = sorted(set(permutations("aaaabbbb")))


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_in_no_order_of_their_steps_do_two_live_runs_both_load(order):
    journal, loaded = SharedJournal(), []
    runs = {"a": _steps(journal, "a", "1.0", loaded), "b": _steps(journal, "b", "2.0", loaded)}
    failed = []
    for name in order:
        if name in failed:
            continue
        try:
            next(runs[name], None)
        except StateConflict:
            failed.append(name)
    overlapped = order[:4] not in (tuple("aaaa"), tuple("bbbb"))
    if overlapped:
        assert len(loaded) <= 1, "both loaded"
    assert set(journal.entries) == {"1.0" if name == "a" else "2.0" for name in loaded}, "an entry was left behind"
