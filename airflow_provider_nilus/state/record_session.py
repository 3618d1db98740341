"""One run's turn at the record of its key: read once before the run, written once after its load."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.starting_point import Start, start
from nilus.errors import StateError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_nilus.state.store import StateStore
    from nilus.protocol.events import Adopted, Loaded

log = logging.getLogger(__name__)

_BEGINS = 3


class RecordSession:
    """One run's turn.

    Args:
        store: where the record is kept.
        key: the state key.
        run_id, run_type: this run's.
        commit: the Git commit of the source that runs.
        on_rerun: the operator's argument.
        cleared: given run ids, returns those whose task instance has been cleared and not yet run again.
        reran: the run was cleared, and the record cannot tell what it did before.
        try_number: this try's.
        first_try: number of the first try since the task instance was made or cleared.
        deleted: given run ids, returns those that Airflow does not know any more.
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
        reran: bool = False,
        try_number: int | None = None,
        first_try: int = 1,
        deleted: Callable[[list[str]], Iterable[str]] = lambda _runs: (),
    ) -> None:
        self._store = store
        self._key = key
        self._run_id = run_id
        self._run_type = run_type
        self._commit = commit
        self._on_rerun = on_rerun
        self._cleared = cleared
        self._reran = reran
        self._try_number = try_number
        self._first_try = first_try
        self._deleted = deleted
        self._record = Record(key=key)
        self._version = 0
        self._took_back = False
        self._taken_back_runs: list[str] = []
        self._kept: tuple[int, datetime | None] = (0, None)
        self._moved = False
        self._begun = 0

    def begin(self) -> Start:
        """Read the record and decide where the run starts from.

        Raises:
            StateError: the record cannot be used, or this run may not run again.
        """
        self._moved, self._begun = False, self._begun + 1
        record = self._store.read(self._key)
        begun = start(
            record,
            run_id=self._run_id,
            on_rerun=self._on_rerun,
            cleared=self._cleared,
            reran=self._reran,
            first_try=self._first_try,
            deleted=self._deleted,
        )
        self._record, self._version = begun.base, begun.version
        self._kept = _mark(record)
        self._took_back = begun.taken_back > 0
        self._taken_back_runs = [commit.run_id for commit in record.commits[: begun.taken_back]]
        if self._took_back:
            log.info(
                "State: %r goes on from version %d: the commits from there to %d are made again",
                self._key,
                begun.base.head.version if begun.base.head else 0,
                record.version,
            )
        if record.directive:
            log.info("State: %r was left by `%s`; this run does what it says", self._key, record.directive.verb)
        return begun

    def has_moved(self, entries: list[dict[str, Any]]) -> bool:
        """Tell whether the record is another one than this turn began with: the turn has to begin again.

        Args:
            entries: journal rows, as dicts, of loads that the record does not know.
        """
        look = getattr(self._store, "look_at", None)
        if look is not None:
            look(self._key, entries)
        self._moved = _mark(self._store.read(self._key)) != self._kept
        return self._moved

    @property
    def begins_again(self) -> bool:
        """Whether the run may begin again at once, because its record has moved; not for ever."""
        return self._moved and self._begun < _BEGINS

    def take_back(self) -> None:
        """Keep the record without the commits that are made again: their rows are about to be removed.

        Whoever comes next, if this run dies now, then removes what is left of them and goes on from the same place.
        """
        if not self._took_back:
            return
        self._refuse_if_changed()
        revoke = getattr(self._store, "revoke", None)
        if revoke is not None:
            revoke(self._record, self._taken_back_runs)
        self._write(self._record)

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
            self._leave_to_next(loaded)
            self._move(
                run_id=self._run_id,
                run_type=self._run_type,
                commit=self._commit,
                load_ids=loaded.load_ids,
                rows={name: table["rows"] for name, table in loaded.tables.items()},
                state=loaded.state,
                try_number=self._try_number,
            )
        return self._version

    def _leave_to_next(self, loaded: Loaded) -> None:
        """Have the next run remove what this one has loaded, if somebody moved the record by hand meanwhile.

        What landed after that is not what the record was moved for: it would stay, and be read again.
        """
        record = self._store.read(self._key)
        directive = record.directive
        if directive is None or directive.verb == "rerun" or _mark(record) == self._kept:
            return
        removes = tuple(dict.fromkeys((*directive.removes, *loaded.load_ids)))
        self._store.write(record.model_copy(update={"directive": directive.model_copy(update={"removes": removes})}))
        log.warning(
            "State: the record of %r was moved by `%s` while this run was loading: the next run removes what it loaded",
            self._key,
            directive.verb,
        )

    def _move(
        self,
        *,
        run_id: str,
        run_type: str,
        commit: str,
        load_ids: list[str],
        rows: dict[str, int],
        state: dict[str, Any],
        try_number: int | None = None,
    ) -> None:
        moved = self._record.advance(
            version=self._version + 1,
            run_id=run_id,
            run_type=run_type,
            commit=commit,
            load_ids=load_ids,
            rows=rows,
            state=state,
            try_number=try_number,
        )
        self._refuse_if_changed()
        self._write(moved)
        log.info(
            "State: %r moved from version %d to %d by run %s (%d bytes)",
            self._key,
            self._version,
            moved.version,
            run_id,
            len(json.dumps(state)),
        )
        self._record, self._version = moved, moved.version

    def _write(self, record: Record) -> None:
        self._store.write(record)
        self._kept = _mark(record)

    def _refuse_if_changed(self) -> None:
        if _mark(self._store.read(self._key)) != self._kept:
            raise StateError(
                f"The record of {self._key!r} was changed while run {self._run_id} was loading",
                expected=f"version {self._kept[0]}, with which this run began",
                found=f"version {self._store.read(self._key).version}, by another run or by hand",
                remedy="this run's rows are loaded, its state is not kept: run the task again, which settles that",
                retryable=True,
            )


def _mark(record: Record) -> tuple[int, datetime | None]:
    """What tells two moves of a record apart."""
    return record.version, record.moved_at
