"""Where a run starts from: the record as it is, or as it was before commits that are made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_nilus.state.record import Commit, Record
from nilus.errors import StateError


@dataclass(frozen=True)
class Start:
    """Where a run starts from.

    Attributes:
        base: the record the run's commit will be laid upon; its head's state is the start state.
        version: the version before the run's; it never goes back, also where commits are made again.
        replaces: load ids whose rows the run removes from appended tables, in the order of the record.
        known: every load id the record knows.
    """

    base: Record
    version: int
    replaces: tuple[str, ...]
    known: tuple[str, ...]


def start(
    record: Record,
    *,
    run_id: str,
    on_rerun: str,
    cleared: Callable[[list[str]], Iterable[str]],
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

    Raises:
        StateError: the run's commit is not the newest, and later ones stand.
    """
    commits = [record.head, *record.history] if record.head else []
    mine = next((index for index, commit in enumerate(commits) if commit.run_id == run_id), None)
    known = tuple(load_id for commit in commits for load_id in commit.load_ids)
    if mine is None:
        return Start(record, record.version, (), known)
    if on_rerun == "rewind":
        taken_back = mine + 1
    else:
        taken_back = _open_at_the_end(commits, run_id, cleared)
        if taken_back <= mine:
            raise _refusal(record, commits, mine, taken_back)
    rest = commits[taken_back:]
    replaces = () if on_rerun == "append" else tuple(i for commit in commits[:taken_back] for i in commit.load_ids)
    base = Record(key=record.key, head=rest[0] if rest else None, history=tuple(rest[1:]))
    return Start(base, record.version, replaces, known)


def _open_at_the_end(commits: list[Commit], run_id: str, cleared: Callable[[list[str]], Iterable[str]]) -> int:
    """Return how many of the newest commits, without a gap, are this run's or have been cleared."""
    others = [commit.run_id for commit in commits if commit.run_id != run_id]
    again = {run_id, *(cleared(others) if others else ())}
    return next((index for index, commit in enumerate(commits) if commit.run_id not in again), len(commits))


def _refusal(record: Record, commits: list[Commit], mine: int, standing: int) -> StateError:
    later = commits[standing]
    return StateError(
        f"Run {commits[mine].run_id} of {record.key!r} cannot be run again by itself: later runs went on from it",
        expected="the newest commit of the record, or one after which every later run has been cleared as well",
        found=f"version {commits[mine].version}, while version {later.version} of run {later.run_id} stands",
        remedy='clear it together with all later runs (Airflow\'s UI: Clear, with Future), or set on_rerun="rewind", '
        "which takes the later commits back and removes their rows",
    )
