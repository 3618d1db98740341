"""What a store of records must do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from airflow_provider_nilus.state.record import Record


@runtime_checkable
class StateStore(Protocol):
    """Keeps one record per state key."""

    def read(self, key: str) -> Record:
        """Return the key's record; an empty one if nothing was ever kept.

        Raises:
            StateError: something is kept that cannot be used.
        """

    def write(self, record: Record) -> None:
        """Keep the record in place of the one before.

        Raises:
            StateError: what is read back is not what was written.
        """
