"""Complete loads that the record does not know: what explains them, and what is done about them.

A run that died between its load and its record leaves one such load, and its task instance has not succeeded. Anything
else means that the record was lost, or is an old one: nothing is guessed then.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from nilus.errors import StateConflict, StateError
from nilus.protocol.channel import Channel
from nilus.protocol.events import JournalEntry, Unsettled
from nilus.protocol.job import Job
from nilus.runtime.recovery.journal import Entry
from nilus.values.state_command import command

log = logging.getLogger("nilus")

GONE = "gone"
"""What a parent answers for a run of which Airflow knows nothing any more."""

_RECORDED = ("success", GONE)
_CLEARED = "cleared"
_NAMED = 5


@dataclass(frozen=True)
class Decision:
    """What to do about complete loads.

    Attributes:
        adopts: the load whose state is taken, own or another run's; None to go on from the record.
        removes: load ids whose rows this run removes before it loads.
        passed: load ids that are accounted for without anything being done.
    """

    adopts: Entry | None = None
    removes: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()


def ask(channel: Channel, entries: Collection[Entry], *, taking_back: bool = False) -> dict[str, object]:
    """Ask the parent about journal entries; see `Unsettled`."""
    names = [field.name for field in dataclasses.fields(JournalEntry)]
    documents = [
        {**{name: getattr(entry, name) for name in names}, "started_at": entry.started_at.isoformat()}
        for entry in entries
    ]
    return channel.ask(Unsettled(entries=documents, taking_back=taking_back))


def decide(job: Job, landed: list[Entry], channel: Channel) -> Decision:
    """Decide what to do about complete loads of the key that the record does not know.

    Args:
        job: the run.
        landed: the loads, oldest first.
        channel: to ask what Airflow knows of the runs that loaded them.

    Raises:
        StateConflict: the record has moved since this run read it.
        StateError: a crash of one run cannot explain them.
    """
    if not landed:
        return Decision()
    own = [entry for entry in landed if job.run.same_as(entry)]
    others = [entry for entry in landed if not job.run.same_as(entry)]
    earlier = tuple(entry.load_id for entry in own if entry.try_number < job.options.first_try)
    done = [entry for entry in own if entry.try_number >= job.options.first_try]
    states = _states(job, landed, channel)
    removes, passed = ((), earlier) if job.options.on_rerun == "append" else (earlier, ())
    if job.state.adopt:
        return Decision(landed[-1], passed=tuple(entry.load_id for entry in landed))
    takes_back = job.state.replaces and not _came_after(job, others)
    if others and (takes_back or (earlier and others[-1].newer_than(earlier[0]))):
        again = [entry.load_id for entry in others if states.get(entry.load_id) in (_CLEARED, GONE)]
        if len(again) < len(others) or job.options.on_rerun == "append":
            raise _refusal_of_rerun(job, others)
        return Decision(removes=(*removes, *again), passed=passed)
    if not others:
        return Decision(done[-1] if done else None, removes, (*passed, *(entry.load_id for entry in done[:-1])))
    if len(others) > 1 or done or states.get(others[0].load_id) in _RECORDED:
        raise _refusal(job, landed, states)
    return Decision(others[0], removes, passed)


def _came_after(job: Job, entries: list[Entry]) -> bool:
    """Tell whether loads began after what `replaces` names was left to be removed: by whoever removed it then."""
    if job.state.directed_at is None:
        return False
    at = datetime.fromisoformat(job.state.directed_at)
    return all(entry.started_at > at for entry in entries)


def _states(job: Job, landed: list[Entry], channel: Channel) -> dict[str, str]:
    answer = ask(channel, landed)
    if answer.get("moved"):
        raise StateConflict(
            f"The record of {job.run.state_key!r} is another one than when this run began",
            expected="the record with which this run began",
            found=f"a newer one, of a run that loaded {landed[-1].load_id} meanwhile or has a later date",
            remedy="nothing was loaded by this run; it may be tried again",
        )
    states = answer.get("states")
    return states if isinstance(states, dict) else {}


def _refusal(job: Job, landed: list[Entry], states: dict[str, str]) -> StateError:
    key = job.run.state_key
    return StateError(
        f"The destination holds newer loads of {key!r} than its record knows",
        expected="at most one, whose run died between its load and its record",
        found=f"{_name_loads(landed, states)}; the record was lost, or an old one was restored",
        remedy=f"restore the newest record; or {command('adopt', key)} to go on from what the destination holds; or "
        f"{command('reset', key)} to start from nothing",
    )


def _refusal_of_rerun(job: Job, others: list[Entry]) -> StateError:
    return StateError(
        f"Commits of {job.run.state_key!r} are made again, but a load after them is not in the record",
        expected="no load after those that are made again, or only of runs that have been cleared as well, or deleted",
        found=_name_loads(others, {}),
        remedy="clear the task instances of those runs together with this one",
    )


def _name_loads(entries: list[Entry], states: dict[str, str]) -> str:
    """Name the newest loads with their runs, and say what Airflow knows of these."""
    names = [
        f"{entry.load_id} of run {entry.run_id}"
        + {"success": " (which succeeded)", GONE: " (which Airflow does not know)"}.get(
            str(states.get(entry.load_id)), ""
        )
        for entry in entries[-_NAMED:]
    ]
    more = f" and {len(entries) - _NAMED} older" if len(entries) > _NAMED else ""
    return f"{len(entries)}: {', '.join(names)}{more}"
