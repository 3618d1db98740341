"""One run's turn at the record of its key: read once before the run, written once after its load."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.start import Start, start

if TYPE_CHECKING:
    from airflow_provider_nilus.state.store import StateStore
    from nilus.runtime.events import Adopted, Loaded

log = logging.getLogger(__name__)


class Turn:
    """One run's turn.

    Args:
        store: where the record is kept.
        key: the state key.
        run_id, run_type: this run's.
        commit: the Git commit of the source that runs.
        on_rerun: the operator's argument.
        cleared: given run ids, returns those whose task instance has been cleared and not yet run again.
    """

    def __init__(
        self,
        store: StateStore,
        key: str,
        *,
        run_id: str,
        run_type: str,
        commit: str,
        on_rerun: str,
        cleared: Callable[[list[str]], Iterable[str]],
    ) -> None:
        self._store = store
        self._key = key
        self._run_id = run_id
        self._run_type = run_type
        self._commit = commit
        self._on_rerun = on_rerun
        self._cleared = cleared
        self._record = Record(key=key)
        self._version = 0
        self._took_back = False

    def begin(self) -> Start:
        """Read the record and decide where the run starts from.

        Raises:
            StateError: the record cannot be used, or this run may not run again.
        """
        record = self._store.read(self._key)
        begun = start(record, run_id=self._run_id, on_rerun=self._on_rerun, cleared=self._cleared)
        self._record, self._version = begun.base, begun.version
        self._took_back = begun.base.version != record.version
        if self._took_back:
            log.info(
                "State: %r goes on from version %d: the commits from there to %d are made again",
                self._key,
                begun.base.version,
                record.version,
            )
        return begun

    def adopt(self, event: Adopted) -> None:
        """Lay the load of a run that died before its state was kept upon the record, and keep that at once."""
        self._move(
            run_id=event.run_id,
            run_type=event.run_id.partition("__")[0],
            commit=event.commit,
            load_ids=[event.load_id],
            rows=event.rows,
            state=event.state,
        )

    def commit(self, loaded: Loaded) -> int:
        """Keep what the run's load carried. Runs that keep no state, or changed nothing, leave the record alone.

        Returns:
            The version of the record afterwards.

        Raises:
            StateError: it cannot be kept.
        """
        if not loaded.keeps_state:
            log.info("State: this run reads %s and keeps none", loaded.reading)
        elif not loaded.load_ids and not self._took_back:
            log.info("State: nothing was loaded, %r stays at version %d", self._key, self._version)
        else:
            self._move(
                run_id=self._run_id,
                run_type=self._run_type,
                commit=self._commit,
                load_ids=loaded.load_ids,
                rows={name: table["rows"] for name, table in loaded.tables.items()},
                state=loaded.state,
            )
        return self._version

    def _move(
        self,
        *,
        run_id: str,
        run_type: str,
        commit: str,
        load_ids: list[str],
        rows: dict[str, int],
        state: dict[str, Any],
    ) -> None:
        moved = self._record.advance(
            version=self._version + 1,
            run_id=run_id,
            run_type=run_type,
            commit=commit,
            load_ids=load_ids,
            rows=rows,
            state=state,
        )
        self._store.write(moved)
        log.info(
            "State: %r moved from version %d to %d by run %s (%d bytes)",
            self._key,
            self._version,
            moved.version,
            run_id,
            len(json.dumps(state)),
        )
        self._record, self._version = moved, moved.version
