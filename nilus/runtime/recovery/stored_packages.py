"""Packages that were extracted once and are kept in the package store: stored before the load, loaded by who recovers.

Whoever runs a key finds the packages that were stored and not loaded, and loads them instead of extracting again: those
of earlier tries of its own run, and, where runs go on from one another, those of dead runs as well. A load that was
begun is taken back first, so that the same package under the same load id is there once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nilus.errors import StateConflict, StateError
from nilus.protocol.channel import Channel
from nilus.protocol.events import PackageRequest
from nilus.protocol.job import Job
from nilus.runtime.engine.internals.load_ids import load_id_after
from nilus.runtime.recovery import adoption, settle
from nilus.runtime.recovery.journal import Entry, Journal
from nilus.runtime.recovery.package import Package
from nilus.runtime.rows.reading.decision import Reading

log = logging.getLogger("nilus")

TRANSFER_SECONDS = 24 * 3600.0
"""How long the child waits while its parent moves a package: longer than any; the parent's death ends the child."""


Load = Callable[[frozenset[str]], None]
"""Enters a package in the journal, as its own run's, and loads it; given the load ids that are accounted for."""


@dataclass(frozen=True)
class StoredPackage:
    """A package in the store. `where` is its address as it may be shown."""

    package: Package
    where: str


def store(channel: Channel, package: Package, folder: Path) -> None:
    """Let the parent put a package into the store; returns when all of it is there."""
    request = PackageRequest(action="put", load_id=package.load_id, folder=str(folder), manifest=package.to_json())
    where = channel.ask(request, TRANSFER_SECONDS)["where"]
    log.info("Load %s is kept in %s until its run is over", package.load_id, where)


def fetch(channel: Channel, package: Package, folder: Path) -> None:
    """Let the parent bring the files of a package into `folder`."""
    channel.ask(PackageRequest(action="get", load_id=package.load_id, folder=str(folder)), TRANSFER_SECONDS)


def recover(
    job: Job,
    reading: Reading,
    journal: Journal,
    channel: Channel,
    prepare: Callable[[StoredPackage], Load],
) -> Entry | None:
    """Load the packages that were stored and not loaded.

    Args:
        job: the run.
        reading: what it would read.
        journal: the sink's.
        channel: to the parent, who has the store.
        prepare: refuses a package that does not belong here, fetches it, and returns what loads it.

    Returns:
        The complete load of an earlier try of this very run, if there is one: nothing is left to extract.

    Raises:
        StateConflict: another run of the key is alive and has extracted, or is recovering as well.
        StateError: a package is incomplete although its load was begun.
    """
    answer = channel.ask(PackageRequest(action="find"), TRANSFER_SECONDS)["packages"]
    if not answer:
        return None
    oldest = min((item["load_id"] for item in answer), key=float)
    entries = {entry.load_id: entry for entry in _since(journal, job, oldest)}
    for item in answer:
        if not item["complete"] and item["load_id"] in entries and not entries[item["load_id"]].landed:
            raise _incomplete(item)
    found = [
        StoredPackage(Package.from_json(item["manifest"]), item["where"])
        for item in sorted(answer, key=lambda item: float(item["load_id"]))
        if item["complete"]
    ]
    for stored in found:
        _recover_one(stored, job, reading, entries, journal, channel, prepare)
    own = [stored.package.load_id for stored in found if job.run.same_as(stored.package.run)]
    landed = {entry.load_id: entry for entry in _since(journal, job, oldest) if entry.landed}
    return next((landed[load_id] for load_id in reversed(own) if load_id in landed), None)


def _recover_one(
    stored: StoredPackage,
    job: Job,
    reading: Reading,
    entries: dict[str, Entry],
    journal: Journal,
    channel: Channel,
    prepare: Callable[[StoredPackage], Load],
) -> None:
    package = stored.package
    is_own = job.run.same_as(package.run)
    entry = entries.get(package.load_id)
    if (entry is not None and entry.landed) or package.load_id in job.state.known_load_ids:
        return
    if not is_own and not (reading.keeps_state and package.reading.keeps_state):
        return  # runs that keep no state share nothing: it is left to its own run
    log.warning(
        "Load %s was extracted by run %s, try %d, and not loaded: it is loaded now. If it cannot be loaded, and its "
        "source can be read again, remove %s",
        package.load_id,
        package.run.run_id,
        package.run.try_number,
        stored.where,
    )
    known = frozenset({*job.state.known_load_ids, *(one for one, other in entries.items() if other.landed)})
    if is_own:
        load = prepare(stored)
        _take_back(job, stored, entry, journal)
        load(known)
        return
    if _is_live(package, channel):
        raise StateConflict(
            f"Another run of {job.run.state_key!r} has extracted and is about to load",
            expected="one run of a state key at a time",
            found=f"run {package.run.run_id}, load {package.load_id}",
            remedy="nothing was loaded by this run; it may be tried again when the other is over",
        )
    load = prepare(stored)
    claim = load_id_after(settle.newest(job, journal))
    journal.enter(job.run, reading, [claim], source=package.source)
    settle.confirm(job, reading, settle.Settlement({}, known), [claim], journal, channel)
    _take_back(job, stored, entry, journal)
    load(known | {claim})
    journal.withdraw(claim)


def _take_back(job: Job, stored: StoredPackage, entry: Entry | None, journal: Journal) -> None:
    """Remove what a begun load left, and its entry; the package is entered anew when it is loaded.

    Raises:
        StateConflict: it has landed meanwhile.
    """
    package = stored.package
    if entry is not None:
        removed = journal.sweep(package.load_id, by=job.run.attempt, kept=package.reloadable, unfinished=True)
        if removed is None:
            raise StateConflict(
                f"Load {package.load_id} has landed while this run was about to recover it",
                expected="the worker that began it to be gone",
                found=f"run {package.run.run_id} has completed it",
                remedy="nothing was loaded by this run; it may be tried again",
            )
        counts = ", ".join(f"{table} {rows}" for table, rows in removed.items()) or "none"
        log.info("Removed the rows that load %s had left: %s", package.load_id, counts)
    journal.withdraw(package.load_id)


def _is_live(package: Package, channel: Channel) -> bool:
    """Ask whether the run that extracted a package still runs; its load may not be in the journal yet."""
    run = package.run
    entry = Entry(
        load_id=package.load_id,
        state_key=run.state_key,
        dag_id=run.dag_id,
        task_id=run.task_id,
        map_index=run.map_index,
        run_id=run.run_id,
        try_number=run.try_number,
        commit=run.commit,
        reading=package.reading.journal_kind,
        started_at=datetime.now(UTC),
        interval_start=package.reading.start,
        interval_end=package.reading.end,
        landed=False,
    )
    answer: Any = adoption.ask(channel, [entry])
    return package.load_id in answer.get("live", ())


def _since(journal: Journal, job: Job, load_id: str) -> list[Entry]:
    return journal.open_entries(job.run.state_key, newer_than=f"{float(load_id) - 1:.6f}")


def _incomplete(item: dict[str, Any]) -> StateError:
    return StateError(
        f"The package of load {item['load_id']} is not complete, although its load was begun",
        expected="a manifest, the files it names, and a marker, all written before the load begins",
        found=f"no marker, or one of another manifest, in {item['where']}",
        remedy="somebody removed or changed it: restore it from a backup of the package store; or, if its source can "
        "be read again, remove all of it",
    )
