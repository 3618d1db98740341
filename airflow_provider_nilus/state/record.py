"""The record of one state key: where to go on from, and the commits that led there."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nilus.errors import StateError
from nilus.values.names import check_load_id
from nilus.values.state_command import command

FORMAT: Final = 1
MAX_COMMITS: Final = 50
MAX_BYTES: Final = 4_000_000
WARN_BYTES: Final = 1_000_000

log = logging.getLogger(__name__)

LoadId = Annotated[str, BeforeValidator(check_load_id)]


class Commit(BaseModel):
    """One move of the cursor: a run that loaded and carried a state.

    `state` is dlt's `sources` subtree; `commit` the Git commit of the source; `rows` rows per table. `try_number`
    is that of the try that made it, where that is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    run_id: str
    run_type: str
    commit: str
    load_ids: tuple[LoadId, ...]
    rows: dict[str, int]
    state: dict[str, Any]
    committed_at: datetime
    try_number: int | None = None


class Directive(BaseModel):
    """What the next run of the key has to do first. The commit of that run takes it off the record.

    Attributes:
        verb: what left it: `reset`, `rewind`, `set`, `adopt`, or `rerun`, a run that takes commits back.
        version: the record's with this move.
        at: when.
        since: a load id: complete loads up to it are accounted for, although no commit names them.
        removes: load ids whose rows are removed.
        removes_after: a load id: the rows of complete loads after it, up to `since`, are removed.
        adopt: the state of the newest complete load is taken, however many the record does not know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: str
    version: int = Field(ge=0)
    at: AwareDatetime
    since: LoadId | None = None
    removes: tuple[LoadId, ...] = ()
    removes_after: LoadId | None = None
    adopt: bool = False


class Record(BaseModel):
    """The record of a key. `history` holds the commits before `head`, newest first.

    `truncated` tells that older commits were dropped; `directive` is there where the next run has to do something.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    key: str
    head: Commit | None = None
    history: tuple[Commit, ...] = ()
    truncated: bool = False
    directive: Directive | None = None

    @property
    def commits(self) -> tuple[Commit, ...]:
        """All commits, newest first."""
        return (self.head, *self.history) if self.head else ()

    @property
    def known_load_ids(self) -> tuple[str, ...]:
        """The load ids the record accounts for, newest first; loads that are older than one of them are as well."""
        named = tuple(load_id for commit in self.commits for load_id in commit.load_ids)
        since = self.directive.since if self.directive else None
        return (since, *named) if since else named

    @property
    def moved_at(self) -> datetime | None:
        """When it was last moved; None before its first move."""
        if self.directive:
            return self.directive.at
        return self.head.committed_at if self.head else None

    @property
    def state(self) -> dict[str, Any]:
        """The state to start from; empty before the first commit."""
        return self.head.state if self.head else {}

    @property
    def version(self) -> int:
        """The version of the last move; 0 before the first one."""
        version = self.head.version if self.head else 0
        return max(version, self.directive.version) if self.directive else version

    def advance(
        self,
        *,
        run_id: str,
        run_type: str,
        commit: str,
        load_ids: list[str],
        rows: dict[str, int],
        state: dict[str, Any],
        committed_at: datetime | None = None,
        version: int | None = None,
        try_number: int | None = None,
    ) -> Record:
        """Return the record with a new head; the old one becomes the newest of the history.

        `version` is given where commits were taken back, so that it does not go back with them.
        """
        head = Commit(
            version=version or self.version + 1,
            run_id=run_id,
            run_type=run_type,
            commit=commit,
            load_ids=tuple(load_ids),
            rows=rows,
            state=state,
            committed_at=committed_at or datetime.now(UTC),
            try_number=try_number,
        )
        directive = None
        if self.directive and not load_ids:  # what was removed is removed; what is accounted for stays so
            directive = self.directive.model_copy(
                update={"version": head.version, "at": head.committed_at, "removes_after": None, "adopt": False}
            )
        return Record(key=self.key, head=head, history=self.commits, truncated=self.truncated, directive=directive)

    def take_back(self, count: int, directive: Directive) -> Record:
        """Return the record without its newest `count` commits, and with what the next run has to do about them."""
        rest = self.commits[count:]
        return Record(
            key=self.key,
            head=rest[0] if rest else None,
            history=rest[1:],
            truncated=self.truncated,
            directive=directive,
        )

    def to_json(self, *, max_commits: int = MAX_COMMITS, max_bytes: int = MAX_BYTES) -> str:
        """Return the record as JSON, the oldest commits dropped so that both bounds hold; never the head.

        Args:
            max_commits: commits kept, the head included.
            max_bytes: bound of the text in bytes. A head that is larger by itself is kept nevertheless.
        """
        commits = [_dump(commit) for commit in self.history[: max(0, max_commits - 1)]]
        document: dict[str, Any] = {
            "format": self.format,
            "key": self.key,
            "head": _dump(self.head) if self.head else None,
            "history": [],
            **({"directive": self.directive.model_dump(mode="json")} if self.directive else {}),
        }
        size = len(json.dumps(document))
        kept: list[dict[str, Any]] = []
        for commit in commits:
            size += len(json.dumps(commit)) + 2
            if size > max_bytes:
                break
            kept.append(commit)
        truncated = self.truncated or len(kept) < len(self.history)
        return json.dumps({**document, "history": kept, **({"truncated": True} if truncated else {})})

    @classmethod
    def from_json(cls, text: str, *, key: str) -> Record:
        """Read what `to_json` wrote.

        Args:
            text: the stored document.
            key: the state key it must belong to.

        Raises:
            StateError: not a record, of another format, or of another key. Never taken for an empty state.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise _unreadable(key, f"text that is not JSON ({error})") from None
        if not isinstance(document, dict):
            raise _unreadable(key, f"a JSON {type(document).__name__}")
        found = document.get("format")
        if found != FORMAT:
            raise StateError(
                f"The state record of {key!r} has another format",
                expected=f"format {FORMAT}",
                found=f"format {found!r}",
                remedy="it was written by another version of this provider: run with that version, or "
                f"{command('reset', key)}",
            )
        try:
            record = cls.model_validate(document)
        except ValidationError as error:
            raise _unreadable(
                key, "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
            ) from None
        if record.key != key:
            raise StateError(
                "The state record belongs to another key",
                expected=f"key {key!r}",
                found=f"key {record.key!r}",
                remedy="give the task its own state_key, or move the record",
            )
        return record


def warn_of_size(key: str, text: str) -> None:
    """Log a warning if the text of a record is so large that every run takes notice."""
    if len(text) > WARN_BYTES:
        log.warning("The state record of %r has %d bytes; every run reads and writes all of it", key, len(text))


def _dump(commit: Commit) -> dict[str, Any]:
    document: dict[str, Any] = commit.model_dump(
        mode="json", exclude={"try_number"} if commit.try_number is None else None
    )
    return document


def _unreadable(key: str, found: str) -> StateError:
    return StateError(
        f"The state record of {key!r} cannot be read",
        expected="a record this provider wrote",
        found=found,
        remedy=f"restore it from a backup, or {command('reset', key)}; it is never taken for empty",
    )
