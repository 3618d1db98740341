"""Two runs of one key that enter the journal at the same time: never both load."""

from __future__ import annotations

from itertools import permutations

import pytest
from job_fixture import job_with
from memory_rows import MemoryRows

from nilus.errors import StateConflict
from nilus.protocol.job import Run, SinkSpec, SourceSpec
from nilus.runtime.recovery import settle
from nilus.runtime.recovery.journal import Journal
from nilus.runtime.rows.reading.decision import Reading

CURSOR = Reading("cursor", None, None, reads_state=True, keeps_state=True)


class NothingIsRemoved(MemoryRows):
    def delete(self, load_id, kept):
        raise AssertionError("nothing may be removed: both runs are alive")


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
    return job_with(
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
    journal.enter(job.run, CURSOR, [load_id], source="s")
    yield
    settle.confirm(job, CURSOR, settlement, [load_id], journal, channel)
    yield
    loaded.append(run_id)
    journal.rows.complete.add(load_id)


ORDERS = sorted(set(permutations("aaaabbbb")))


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_in_no_order_of_their_steps_do_two_live_runs_both_load(order):
    journal, loaded = Journal(NothingIsRemoved()), []
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
    assert set(journal.rows.entries) == {"1.0" if name == "a" else "2.0" for name in loaded}, "an entry was left behind"
