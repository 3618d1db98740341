"""The journal of a sink that has no place for one, or where nobody has tried whether it works."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nilus.protocol.job import Run
from nilus.runtime.recovery.journal import Entry
from nilus.runtime.rows.reading.decision import Reading


class NoJournal:
    """Knows of no load: nothing is traced, and what an interrupted load left stays. See `Journal` for its methods.

    A sink with it says `exactly_once = False`, so that a run that appends and keeps state is refused unless its author
    accepts duplicates.
    """

    def enter(self, run: Run, reading: Reading, load_ids: list[str], *, source: str) -> None:
        """See `Journal`."""

    def open_entries(
        self,
        state_key: str,  # noqa: ARG002
        *,
        newer_than: str | None = None,  # noqa: ARG002
        run_id: str | None = None,  # noqa: ARG002
    ) -> list[Entry]:
        """See `Journal`."""
        return []

    def withdraw(self, load_id: str) -> None:
        """See `Journal`."""

    def sweep(self, load_id: str, *, kept: Collection[str] = ()) -> dict[str, int]:  # noqa: ARG002
        """See `Journal`."""
        return {}

    def rows(self, load_id: str) -> dict[str, int]:  # noqa: ARG002
        """See `Journal`."""
        return {}

    def carried_state(self, load_id: str) -> dict[str, Any] | None:  # noqa: ARG002
        """See `Journal`."""
        return None
