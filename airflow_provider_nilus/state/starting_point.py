"""Where a run starts from: the record as it is, or as it was before commits that are made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_nilus.state.record import Commit, Directive, Record
from nilus.errors import StateError
from nilus.values.state_command import command


@dataclass(frozen=True)
class Start:
    """Where a run starts from.

    Attributes:
        base: the record the run's commit will be laid upon; its head's state is the start state.
        version: the version before the run's; it never goes back, also where commits are made again.
        replaces: load ids whose rows the run removes from appended tables, in the order of the record.
        known: every load id the record knows.
        removes_after: a load id: the rows of complete loads after it are removed too, as far as they are accounted for.
        adopt: the state of the newest complete load is to be taken.
        taken_back: how many of the record's newest commits are made again.
        directed_at: when what this run has to do first was left to it, by another run or by hand; None if it was not.
    """

    base: Record
    version: int
    replaces: tuple[str, ...]
    known: tuple[str, ...]
    removes_after: str | None = None
    adopt: bool = False
    taken_back: int = 0
    directed_at: datetime | None = None


def start(
    record: Record,
    *,
    run_id: str,
    on_rerun: str,
    cleared: Callable[[list[str]], Iterable[str]],
    reran: bool = False,
    first_try: int = 1,
    deleted: Callable[[list[str]], Iterable[str]] = lambda _runs: (),
) -> Start:
    """Decide where a run starts from.

    A run whose commit is in the record runs again: it starts from the state it started from then, that is from the
    commit before. That is allowed for the newest commit, and for an older one if every later one has been cleared as
    well (they are all taken back at once, whichever comes first; the others then go on from the new head).

    Args:
        record: the key's record.
        run_id: this run's.
        on_rerun: `replace` removes the rows of the commits that are taken back, `append` leaves them, `rewind` takes
            back an older commit with all later ones although those have not been cleared.
        cleared: given run ids, returns those whose task instance has been cleared and not yet run again.
        reran: the run was cleared, and the record cannot tell what it did before.
        first_try: number of the first try since the run was made or cleared; what it or a later one committed, a retry
            replaces whatever `on_rerun` says.
        deleted: given run ids, returns those that Airflow does not know any more: they cannot be cleared, and are taken
            back with an earlier run that is.

    Raises:
        StateError: the run's commit is not the newest, and later ones stand.
    """
    commits = list(record.commits)
    mine = next((index for index, commit in enumerate(commits) if commit.run_id == run_id), None)
    directed = record.directive
    removes = directed.removes if directed else ()
    removes_after = directed.removes_after if directed else None
    adopt = bool(directed and directed.adopt)
    taken_back = 0
    if mine is None:
        taken_back = _open_at_the_end(commits, run_id, cleared) if reran else 0
    elif on_rerun == "rewind":
        taken_back = mine + 1
    else:
        taken_back = _open_at_the_end(commits, run_id, cleared)
        if mine >= taken_back:
            gone = set(deleted([commit.run_id for commit in commits[:mine]]))
            taken_back = _open_at_the_end(commits, run_id, lambda runs: {*cleared(runs), *gone})
        if taken_back <= mine:
            raise _refusal(record, commits, mine, taken_back)
    if not taken_back:
        at = directed.at if directed else None
        return Start(record, record.version, removes, record.known_load_ids, removes_after, adopt, directed_at=at)
    if taken_back == len(commits) and record.truncated:
        raise _too_old(record, commits[-1])
    replaces = tuple(
        load_id
        for commit in commits[:taken_back]
        if on_rerun != "append" or (commit.run_id == run_id and (commit.try_number or 0) >= first_try)
        for load_id in commit.load_ids
    )
    directive = Directive(
        verb="rerun",
        version=record.version,
        at=datetime.now(UTC),
        since=next(iter(record.known_load_ids), None),
        removes=(*removes, *replaces),
        removes_after=removes_after,
    )
    return Start(
        record.take_back(taken_back, directive),
        record.version,
        directive.removes,
        record.known_load_ids,
        removes_after,
        adopt,
        taken_back,
    )


def _open_at_the_end(commits: list[Commit], run_id: str, cleared: Callable[[list[str]], Iterable[str]]) -> int:
    """Return how many of the newest commits, without a gap, are this run's or have been cleared."""
    others = [commit.run_id for commit in commits if commit.run_id != run_id]
    again = {run_id, *(cleared(others) if others else ())}
    return next((index for index, commit in enumerate(commits) if commit.run_id not in again), len(commits))


def _too_old(record: Record, commit: Commit) -> StateError:
    return StateError(
        f"Run {commit.run_id} of {record.key!r} cannot be run again: its record does not reach back to where it began",
        expected=f"the commit before version {commit.version}",
        found="the oldest commit that is kept",
        remedy=f"{command('reset', record.key)}, and load everything again",
    )


def _refusal(record: Record, commits: list[Commit], mine: int, standing: int) -> StateError:
    later = commits[standing]
    return StateError(
        f"Run {commits[mine].run_id} of {record.key!r} cannot be run again by itself: later runs went on from it",
        expected="the newest commit of the record, or one after which every later run has been cleared as well",
        found=f"version {commits[mine].version}, while version {later.version} of run {later.run_id} stands",
        remedy='clear it together with all later runs (Airflow\'s UI: Clear, with Future), or set on_rerun="rewind", '
        "which takes the later commits back and removes their rows",
    )
