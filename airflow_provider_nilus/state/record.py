"""The record of one state key: where to go on from, and the commits that led there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nilus.errors import StateError

FORMAT: Final = 1
MAX_COMMITS: Final = 50
MAX_BYTES: Final = 4_000_000


class Commit(BaseModel):
    """One move of the cursor: a run that loaded and carried a state.

    `state` is dlt's `sources` subtree; `commit` the Git commit of the source; `rows` rows per table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    run_id: str
    run_type: str
    commit: str
    load_ids: tuple[str, ...]
    rows: dict[str, int]
    state: dict[str, Any]
    committed_at: datetime


class Record(BaseModel):
    """The record of a key. `history` holds the commits before `head`, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    key: str
    head: Commit | None = None
    history: tuple[Commit, ...] = ()

    @property
    def state(self) -> dict[str, Any]:
        """The state to start from; empty before the first commit."""
        return self.head.state if self.head else {}

    @property
    def version(self) -> int:
        """The head's version; 0 before the first commit."""
        return self.head.version if self.head else 0

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
        )
        history = (self.head, *self.history) if self.head else self.history
        return Record(key=self.key, head=head, history=history)

    def to_json(self, *, max_commits: int = MAX_COMMITS, max_bytes: int = MAX_BYTES) -> str:
        """Return the record as JSON, the oldest commits dropped so that both bounds hold; never the head.

        Args:
            max_commits: commits kept, the head included.
            max_bytes: bound of the text in bytes. A head that is larger by itself is kept nevertheless.
        """
        commits = [_dump(commit) for commit in self.history[: max(0, max_commits - 1)]]
        head = _dump(self.head) if self.head else None
        size = len(json.dumps({"format": self.format, "key": self.key, "head": head, "history": []}))
        kept = []
        for commit in commits:
            size += len(json.dumps(commit)) + 2
            if size > max_bytes:
                break
            kept.append(commit)
        return json.dumps({"format": self.format, "key": self.key, "head": head, "history": kept})

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
                remedy="it was written by another version of this provider: run with that version, or reset the state",
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


def _dump(commit: Commit) -> dict[str, Any]:
    document: dict[str, Any] = commit.model_dump(mode="json")
    return document


def _unreadable(key: str, found: str) -> StateError:
    return StateError(
        f"The state record of {key!r} cannot be read",
        expected="a record this provider wrote",
        found=found,
        remedy="restore it from a backup, or delete it to start from the beginning; it is never taken for empty",
    )
