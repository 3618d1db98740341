"""What a store of records must do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from airflow_provider_nilus.state.record import Record


@runtime_checkable
class StateStore(Protocol):
    """Keeps one record per state key.

    A store that cannot tell by itself which record is the newest may have two more methods, as `XComStore` has:
    `look_at(key, entries)` is told the journal's rows of loads that the record does not know, before it is read again;
    `revoke(record, run_ids)` puts a record in place of those of runs whose commits are taken back.
    """

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
