"""What other tries and runs of the key left behind, settled before anything is extracted and again before the load.

The record (in Airflow) says where to go on from, the journal (in the sink) what has landed. A run that was interrupted
left a row in the journal and perhaps rows of its load; a run that was interrupted after its load left a load the record
does not know.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from nilus.errors import StateConflict, StateError
from nilus.protocol.channel import Channel
from nilus.protocol.events import Adopted
from nilus.protocol.job import Job
from nilus.runtime.recovery import adoption
from nilus.runtime.recovery.journal import Entry, Journal
from nilus.runtime.rows.reading.decision import Reading
from nilus.values.state_command import command

log = logging.getLogger("nilus")

_LOOKS = 3
"""How often the journal is looked at anew because a load landed between a look and its sweep."""


@dataclass(frozen=True)
class Settlement:
    """What settling found.

    Attributes:
        state: dlt's `sources` subtree to start from, as plain JSON.
        known: the load ids that are accounted for.
        done: this very run's load that is complete already, so that nothing is left to do; else None.
        newest: the largest load id of the key so far, as a number: those of this run are larger.
    """

    state: dict[str, Any]
    known: frozenset[str]
    done: Entry | None = None
    newest: float = 0.0


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
        _refuse_cursor_key(job, reading)
        _settle_stateless(job, reading, journal, channel, kept)
        journal.sweep_again(job.run.state_key, kept=kept)
        return Settlement(state={}, known=frozenset())
    known = frozenset(job.state.known_load_ids)
    journaled = _finish_dead_loads(job, reading, journal, channel, kept)
    journal.sweep_again(job.run.state_key, kept=kept)
    _refuse_window_key(job, reading, journaled)
    landed = [entry for entry in journaled if entry.keeps_state and entry.load_id not in known]
    decision = adoption.decide(job, landed, channel)
    if job.state.replaces:
        adoption.ask(channel, (), taking_back=True)
    for load_id in (*job.state.replaces, *decision.removes):
        _sweep(job, journal, load_id, kept, "replaced by this run")
    for load_id in _loads_to_remove(job, journal):
        _sweep(job, journal, load_id, kept, "taken back by hand")
    state = job.state.sources if reading.reads_state else {}
    known |= {*decision.removes, *decision.passed}
    if decision.adopts is None:
        return Settlement(state, known)
    return _adopt(job, journal, channel, decision.adopts, landed, known, state)


def newest(job: Job, journal: Journal) -> float:
    """Return the largest load id of the key, in the record or in the journal, as a number; 0 if there is none."""
    return max((journal.newest(job.run.state_key), *map(float, job.state.known_load_ids)))


def _finish_dead_loads(
    job: Job, reading: Reading, journal: Journal, channel: Channel, kept: Collection[str]
) -> list[Entry]:
    """Sweep what dead runs of any kind left unfinished, and return the complete loads that the record may not know.

    A run without state looks at all loads of its key: the record knows none of them.

    Raises:
        StateConflict: a run that may not load at the same time is loading, or loads land again and again while this
            run looks.
    """
    for _ in range(_LOOKS):
        entries = _open_entries(job, journal) if reading.keeps_state else journal.open_entries(job.run.state_key)
        unfinished = [entry for entry in entries if not entry.landed]
        live = _live(job, unfinished, channel)
        in_the_way = [entry for entry in live if _shares(job, reading, entry)]
        if in_the_way:
            raise _conflict(job, in_the_way[0], "is loading" if reading.keeps_state else "is loading the same interval")
        dead = [entry for entry in unfinished if entry not in live]
        if all([_sweep_unfinished(job, journal, entry, kept) for entry in dead]):
            return [entry for entry in entries if entry.landed]
    raise _conflict(job, dead[0], "has loaded meanwhile")


def _refuse_window_key(job: Job, reading: Reading, entries: Collection[Entry]) -> None:
    """Refuse to begin a cursor on a key whose runs have loaded windows: what they loaded would be read again.

    Raises:
        StateError: there are such loads.
    """
    windows = [entry for entry in entries if entry.landed and entry.reading == "windowed"]
    if reading.kind == "cursor" and windows and not job.state.known_load_ids:
        raise StateError(
            f"Runs of {job.run.state_key!r} have loaded windows, and this run would begin a cursor",
            expected="one kind of runs for a state key, from its first load on",
            found=f"no interval, and {len(windows)} loads of windows, the newest of run {windows[-1].run_id}",
            remedy="trigger the run with a logical date, for an interval; or give the task another state_key; "
            f"or {command('reset', job.run.state_key)}, which removes the windows' rows, and let the cursor begin",
        )


def _refuse_cursor_key(job: Job, reading: Reading) -> None:
    """Refuse to load a window into a key that has a cursor, but for a backfill, which is asked for by name.

    Raises:
        StateError: the record has a cursor.
    """
    if reading.kind == "windowed" and job.state.sources and job.run.run_type != "backfill":
        raise StateError(
            f"Runs of {job.run.state_key!r} go on from a cursor, and this run would load a window",
            expected="one kind of runs for a state key, from its first load on",
            found=f"the interval {' to '.join(reading.interval or ())}, and a record with a state",
            remedy="pass interval=None to the operator to go on from the cursor; or give the task another state_key; "
            f"or {command('reset', job.run.state_key)}, and let the windows begin",
        )


def _loads_to_remove(job: Job, journal: Journal) -> list[str]:
    """Return the complete loads whose rows go because somebody has taken their commits back by hand."""
    if job.state.removes_after is None or not job.state.known_load_ids:
        return []
    newest = max(job.state.known_load_ids, key=float)
    entries = journal.open_entries(job.run.state_key, newer_than=job.state.removes_after)
    return [entry.load_id for entry in entries if entry.landed and entry.keeps_state and not entry.newer_than(newest)]


def confirm(
    job: Job, reading: Reading, settlement: Settlement, load_ids: list[str], journal: Journal, channel: Channel
) -> None:
    """Look again after this run's loads have entered the journal, and before anything of them can land.

    Two runs of one key each enter first and look then, so that at least one of them sees the other.

    Raises:
        StateConflict: another run of the key is loading, or has loaded meanwhile. This run's entries are withdrawn.
    """
    others = [
        entry
        for entry in _open_entries(job, journal)
        if _shares(job, reading, entry) and entry.load_id not in settlement.known and entry.load_id not in load_ids
    ]
    landed = [entry for entry in others if entry.landed]
    in_the_way = landed or _live(job, others, channel)
    if in_the_way:
        for load_id in load_ids:
            journal.withdraw(load_id)
        raise _conflict(job, in_the_way[0], "has loaded meanwhile" if landed else "is loading")


def _settle_stateless(job: Job, reading: Reading, journal: Journal, channel: Channel, kept: Collection[str]) -> None:
    """Settle a run without state: its own earlier loads, those of its interval, and what dead runs left half done.

    Raises:
        StateConflict: another run is loading the same interval.
    """
    for entry in _finish_dead_loads(job, reading, journal, channel, kept):
        if _is_replaced(job, reading, entry):
            _sweep(job, journal, entry.load_id, kept, "replaced by this run")


def _shares(job: Job, reading: Reading, entry: Entry) -> bool:
    """Tell whether this run and the one of an entry may not load at once: both keep state, or read one window."""
    return entry.keeps_state if reading.keeps_state else _is_same_window(job, reading, entry)


def _is_replaced(job: Job, reading: Reading, entry: Entry) -> bool:
    """Tell whether a run without state replaces a load: of an earlier try, of itself, of its interval."""
    if job.run.same_as(entry) and entry.try_number >= job.options.first_attempt:
        return True
    return job.options.on_rerun != "append" and (job.run.same_as(entry) or _is_same_window(job, reading, entry))


def _is_same_window(job: Job, reading: Reading, entry: Entry) -> bool:
    """Tell whether another run of the task has loaded the window that this run reads: both have the same rows."""
    return (
        reading.kind == entry.reading == "windowed"
        and reading.start == entry.interval_start
        and reading.end == entry.interval_end
        and job.run.same_as(dataclasses.replace(entry, run_id=job.run.run_id))
    )


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
            rows=journal.count(entry.load_id),
            state=adopted,
        )
    )
    return Settlement(adopted, known | {entry.load_id})


def _open_entries(job: Job, journal: Journal) -> list[Entry]:
    newest = max(job.state.known_load_ids, key=float, default=None)
    return journal.open_entries(job.run.state_key, newer_than=newest)


def _live(job: Job, entries: list[Entry], channel: Channel) -> list[Entry]:
    """Return the entries whose task instance still runs; this run's own earlier tries do not."""
    others = [entry for entry in entries if not job.run.same_as(entry)]
    if not others:
        return []
    answer: Any = adoption.ask(channel, others)
    live = set(answer.get("live", ()))
    return [entry for entry in others if entry.load_id in live]


def _sweep(job: Job, journal: Journal, load_id: str, kept: Collection[str], why: str) -> None:
    _tell(load_id, why, journal.sweep(load_id, by=job.run.attempt, kept=kept) or {})


def _sweep_unfinished(job: Job, journal: Journal, entry: Entry, kept: Collection[str]) -> bool:
    """Sweep a load that is not complete; return whether it was not complete by then either."""
    removed = journal.sweep(entry.load_id, by=job.run.attempt, kept=kept, unfinished=True)
    if removed is None:
        log.info("Load %s of run %s has landed while it was looked at", entry.load_id, entry.run_id)
        return False
    _tell(entry.load_id, f"left by run {entry.run_id}, try {entry.try_number}", removed)
    return True


def _tell(load_id: str, why: str, removed: dict[str, int]) -> None:
    counts = ", ".join(f"{table} {rows}" for table, rows in removed.items()) or "none"
    log.info("Removed the rows of load %s, %s: %s", load_id, why, counts)


def _conflict(job: Job, entry: Entry, does: str) -> StateConflict:
    return StateConflict(
        f"Another run of {job.run.state_key!r} {does}",
        expected="one run of a state key at a time",
        found=f"run {entry.run_id}, try {entry.try_number}, of task {entry.dag_id}.{entry.task_id}",
        remedy="nothing was loaded by this run; it may be tried again when the other is over",
    )
