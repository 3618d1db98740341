"""What other tries and runs of the key left behind, settled before anything is extracted and again before the load.

The record (in Airflow) says where to go on from, the journal (in the sink) what has landed. A run that was interrupted
left a row in the journal and perhaps rows of its load; a run that was interrupted after its load left a load the record
does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from nilus.errors import StateConflict
from nilus.protocol.channel import Channel
from nilus.protocol.events import Adopted
from nilus.protocol.job import Job
from nilus.runtime.recovery import adoption
from nilus.runtime.recovery.journal import Entry, Journal
from nilus.runtime.rows.reading.decision import Reading

log = logging.getLogger("nilus")


@dataclass(frozen=True)
class Settlement:
    """What settling found.

    Attributes:
        state: dlt's `sources` subtree to start from, as plain JSON.
        known: the load ids that are accounted for.
        done: this very run's load that is complete already, so that nothing is left to do; else None.
    """

    state: dict[str, Any]
    known: frozenset[str]
    done: Entry | None = None


def settle(job: Job, reading: Reading, journal: Journal, channel: Channel, *, kept: Collection[str] = ()) -> Settlement:
    """Settle what is unsettled, and decide where this run starts from.

    Args:
        job: the run; it brings what the record knows.
        reading: what it reads.
        journal: the sink's journal.
        channel: to ask which task instances are still running, and to tell what was adopted.
        kept: tables whose rows are not removed, because loading them again changes nothing (replaced, merged).

    Raises:
        StateConflict: another run of the key is loading.
        StateError: the destination holds more than a crash of one run can explain.
    """
    if not reading.keeps_state:
        _settle_stateless(job, journal, channel, kept)
        return Settlement(state={}, known=frozenset())
    known = frozenset(job.known_load_ids)
    journaled = _open_entries(job, journal)
    _warn_of_windows(job, reading, journaled)
    entries = [entry for entry in journaled if entry.keeps_state and entry.load_id not in known]
    unfinished = [entry for entry in entries if not entry.landed]
    live = _live(job, unfinished, channel)
    if live:
        raise _conflict(job, live[0], "is loading")
    landed = [entry for entry in entries if entry.landed]
    decision = adoption.decide(job, landed, channel)
    if job.replaces:
        adoption.ask(channel, (), taking_back=True)
    for entry in unfinished:
        _sweep(journal, entry.load_id, kept, f"left by run {entry.run_id}, try {entry.try_number}")
    for load_id in (*job.replaces, *decision.removes):
        _sweep(journal, load_id, kept, "replaced by this run")
    for load_id in _loads_to_remove(job, journal):
        _sweep(journal, load_id, kept, "taken back by hand")
    state = job.state if reading.reads_state else {}
    known |= {*decision.removes, *decision.passed}
    if decision.adopts is None:
        return Settlement(state, known)
    return _adopt(job, journal, channel, decision.adopts, landed, known, state)


def _warn_of_windows(job: Job, reading: Reading, entries: Collection[Entry]) -> None:
    """Say that a cursor begins at its start although windows were loaded before: windows move no cursor."""
    windows = [entry for entry in entries if entry.landed and entry.reading == "windowed"]
    if reading.kind == "cursor" and windows and not job.known_load_ids:
        log.warning(
            "State: this run has no interval and starts the cursor from its beginning, but run %s and %d others have "
            "loaded windows: what they loaded is read again, and is in appended tables twice. Trigger the run with a "
            "logical date, or give the task an interval",
            windows[-1].run_id,
            len(windows) - 1,
        )


def _loads_to_remove(job: Job, journal: Journal) -> list[str]:
    """Return the complete loads whose rows go because somebody has taken their commits back by hand."""
    if job.removes_after is None or not job.known_load_ids:
        return []
    newest = max(job.known_load_ids, key=float)
    entries = journal.open_entries(job.run.state_key, newer_than=job.removes_after)
    return [entry.load_id for entry in entries if entry.landed and entry.keeps_state and not entry.newer_than(newest)]


def confirm(job: Job, settlement: Settlement, load_ids: list[str], journal: Journal, channel: Channel) -> None:
    """Look again after this run's loads have entered the journal, and before anything of them can land.

    Two runs of one key each enter first and look then, so that at least one of them sees the other.

    Raises:
        StateConflict: another run of the key is loading, or has loaded meanwhile. This run's entries are withdrawn.
    """
    others = [
        entry
        for entry in _open_entries(job, journal)
        if entry.keeps_state and entry.load_id not in settlement.known and entry.load_id not in load_ids
    ]
    landed = [entry for entry in others if entry.landed]
    in_the_way = landed or _live(job, others, channel)
    if in_the_way:
        for load_id in load_ids:
            journal.withdraw(load_id)
        raise _conflict(job, in_the_way[0], "has loaded meanwhile" if landed else "is loading")


def _settle_stateless(job: Job, journal: Journal, channel: Channel, kept: Collection[str]) -> None:
    """Runs that keep no state share nothing: each settles its own earlier loads, and what dead runs left half done."""
    entries = journal.open_entries(job.run.state_key)
    unfinished = [entry for entry in entries if not entry.landed]
    live = {entry.load_id for entry in _live(job, unfinished, channel)}
    for entry in entries:
        if entry.landed:
            if job.run.same_as(entry) and job.on_rerun != "append":
                _sweep(journal, entry.load_id, kept, "replaced by this run")
        elif entry.load_id not in live:
            _sweep(journal, entry.load_id, kept, f"left by run {entry.run_id}, try {entry.try_number}")


def _adopt(
    job: Job,
    journal: Journal,
    channel: Channel,
    entry: Entry,
    landed: list[Entry],
    known: frozenset[str],
    state: dict[str, Any],
) -> Settlement:
    carried = (journal.carried_state(one.load_id) for one in reversed(landed) if not one.newer_than(entry.load_id))
    adopted = next((one for one in carried if one is not None), state)
    if job.run.same_as(entry):
        log.info("Load %s of this very run is complete: nothing is extracted again", entry.load_id)
        return Settlement(adopted, known, done=entry)
    log.info("Adopting load %s of run %s, of which the record does not know", entry.load_id, entry.run_id)
    channel.send(
        Adopted(
            load_id=entry.load_id,
            run_id=entry.run_id,
            commit=entry.commit,
            rows=journal.rows(entry.load_id),
            state=adopted,
        )
    )
    return Settlement(adopted, known | {entry.load_id})


def _open_entries(job: Job, journal: Journal) -> list[Entry]:
    newest = max(job.known_load_ids, key=float, default=None)
    return journal.open_entries(job.run.state_key, newer_than=newest)


def _live(job: Job, entries: list[Entry], channel: Channel) -> list[Entry]:
    """Return the entries whose task instance still runs; this run's own earlier tries do not."""
    others = [entry for entry in entries if not job.run.same_as(entry)]
    if not others:
        return []
    answer: Any = adoption.ask(channel, others)
    live = set(answer.get("live", ()))
    return [entry for entry in others if entry.load_id in live]


def _sweep(journal: Journal, load_id: str, kept: Collection[str], why: str) -> None:
    removed = journal.sweep(load_id, kept=kept)
    counts = ", ".join(f"{table} {rows}" for table, rows in removed.items()) or "none"
    log.info("Removed the rows of load %s, %s: %s", load_id, why, counts)


def _conflict(job: Job, entry: Entry, does: str) -> StateConflict:
    return StateConflict(
        f"Another run of {job.run.state_key!r} {does}",
        expected="one run of a state key at a time",
        found=f"run {entry.run_id}, try {entry.try_number}, of task {entry.dag_id}.{entry.task_id}",
        remedy="nothing was loaded by this run; it may be tried again when the other is over",
    )
