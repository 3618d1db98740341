"""The journal of a sink that has no place for one, or where nobody has tried whether it works."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

from nilus.runtime.recovery.journal import Journal, Row


class NoRows:
    """Knows of no load: nothing is traced, and what an interrupted load left stays. See `Rows` for its methods.

    A sink with it says `exactly_once = False`, so that a run that appends and keeps state is refused unless its author
    accepts duplicates.
    """

    def insert(self, rows: list[Row]) -> None:
        """See `Rows`."""

    def open_entries(self, state_key: str, newer_than: str | None) -> list[tuple[Row, bool]]:  # noqa: ARG002
        """See `Rows`."""
        return []

    def newest(self, state_key: str) -> float | None:  # noqa: ARG002
        """See `Rows`."""
        return None

    def settling(self) -> AbstractContextManager[None]:
        """See `Rows`."""
        return nullcontext()

    def take(self, load_id: str, by: str | None) -> None:
        """See `Rows`."""

    def has_landed(self, load_id: str) -> bool:  # noqa: ARG002
        """See `Rows`."""
        return False

    def delete(self, load_id: str, kept: Collection[str]) -> dict[str, int]:  # noqa: ARG002
        """See `Rows`."""
        return {}

    def mark(self, load_id: str, swept_at: datetime) -> None:
        """See `Rows`."""

    def remove(self, load_id: str) -> None:
        """See `Rows`."""

    def count(self, load_id: str) -> dict[str, int]:  # noqa: ARG002
        """See `Rows`."""
        return {}

    def state(self, load_id: str) -> str | None:  # noqa: ARG002
        """See `Rows`."""
        return None

    def sweep_again(self, state_key: str, kept: Collection[str]) -> None:
        """See `Rows`."""


def no_journal() -> Journal:
    """Return a journal that knows of no load."""
    return Journal(NoRows())
