"""Changes of a record by hand: each returns the record as it will be, and nothing is written here.

A record is changed outside a run, where the destination is out of reach. So what has to be done there (remove rows,
take a state) is left on the record as a directive, and the next run of the key does it before anything else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_nilus.state.record import Commit, Directive, Record
from nilus.errors import StateError

BY_HAND = "by hand"
_FIRST = "0"


def reset(record: Record, *, keep_rows: bool, at: datetime | None = None) -> Record:
    """Forget the state and all commits: the next run starts from nothing.

    Args:
        record: as it is.
        keep_rows: leave what has been loaded in the appended tables; else the next run removes it.
        at: the moment up to which loads are accounted for; now by default.
    """
    moment = at or datetime.now(UTC)
    return Record(
        key=record.key,
        directive=_directive("reset", record, moment, removes_after=None if keep_rows else _FIRST),
    )


def rewind(record: Record, version: int, *, keep_rows: bool, at: datetime | None = None) -> Record:
    """Go back to an earlier commit: the next run starts from its state.

    Args:
        record: as it is.
        version: the commit's.
        keep_rows: leave the rows of later commits in the appended tables; else the next run removes them.
        at: the moment up to which loads are accounted for; now by default.

    Raises:
        StateError: the record has no such commit.
    """
    commits = record.commits
    index = next((index for index, commit in enumerate(commits) if commit.version == version), None)
    if index is None:
        raise StateError(
            f"The record of {record.key!r} has no version {version}",
            expected=f"one of {', '.join(str(commit.version) for commit in commits) or 'none: it is empty'}",
            found=f"version {version}",
            remedy=f"see `nilus-state history`; `nilus-state reset` starts from nothing. {record.key!r} is unchanged",
        )
    moment = at or datetime.now(UTC)
    directive = _directive("rewind", record, moment, removes_after=None if keep_rows else _load_id_of(commits[index:]))
    return record.take_back(index, directive)


def put(record: Record, state: dict[str, Any], *, at: datetime | None = None) -> Record:
    """Make a state the head: the next run starts from it. What has been loaded so far is accounted for.

    Args:
        record: as it is.
        state: dlt's `sources` subtree.
        at: the moment up to which loads are accounted for; now by default.
    """
    moment = at or datetime.now(UTC)
    moved = record.advance(
        version=record.version + 1,
        run_id=BY_HAND,
        run_type=BY_HAND,
        commit="",
        load_ids=[],
        rows={},
        state=state,
        committed_at=moment,
    )
    return moved.model_copy(update={"directive": _directive("set", record, moment)})


def adopt(record: Record, *, at: datetime | None = None) -> Record:
    """Have the next run take the state of the newest complete load in the destination."""
    moment = at or datetime.now(UTC)
    directive = Directive(verb="adopt", version=record.version + 1, at=moment, adopt=True)
    return record.model_copy(update={"directive": directive})


def _directive(verb: str, record: Record, moment: datetime, *, removes_after: str | None = None) -> Directive:
    since = max((_load_id(moment), *record.known_load_ids), key=float)
    return Directive(verb=verb, version=record.version + 1, at=moment, since=since, removes_after=removes_after)


def _load_id_of(commits: tuple[Commit, ...]) -> str:
    """Return the newest load id of some commits; where they name none, that of the moment of the newest."""
    return next(
        (load_id for commit in commits for load_id in reversed(commit.load_ids)), _load_id(commits[0].committed_at)
    )


def _load_id(moment: datetime) -> str:
    """Return the load id that dlt would give a load at this moment: it is the time, in seconds."""
    return f"{moment.timestamp():.5f}"
