"""Records in XComs: each run of a task pushes the whole record, a later run reads the newest one.

Airflow removes a task instance's own XComs when it starts a try, so a run never finds what it pushed itself. What it
finds by date is the record of the run before it, which need not be the newest: an older run may have been made again.
The journal names the runs whose loads that record does not know, and their XComs are asked then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from airflow_provider_nilus.state.record import Record, warn_of_size
from airflow_provider_nilus.task import internals
from nilus.errors import StateError
from nilus.values.state_command import command

log = logging.getLogger(__name__)

XCOM_KEY = "nilus_state"
_LOOKED_AT = 10


class XComStore:
    """Keeps records in the XComs of one task, wherever the XCom backend of the deployment puts them.

    Args:
        dag_id, task_id, map_index: the task; -1 for one that is not mapped.
        run_id: this run's.
        logical_date: this run's; None is refused at the first read.
    """

    def __init__(self, *, dag_id: str, task_id: str, map_index: int, run_id: str, logical_date: str | None) -> None:
        self._task = {"dag_id": dag_id, "task_id": task_id, "map_index": map_index}
        self._run_id = run_id
        self._logical_date = logical_date
        self._found: Record | None = None

    def read(self, key: str) -> Record:
        """Return the newest record that this run's date or `look_at` leads to; an empty one if there is none.

        Raises:
            StateError: the run has no logical date, or what is kept is no record.
        """
        if self._logical_date is None:
            raise StateError(
                f"Run {self._run_id} has no logical date, and the state of {key!r} is kept in XComs",
                expected="a run with a logical date, by which Airflow finds the XCom of the run before it",
                found="a run without one, as asset-triggered runs are, and manual ones unless a date is given",
                remedy='give the run a logical date, or the operator state="variable"',
            )
        before = self._get(key, {**self._task, "run_id": self._run_id}, include_prior_dates=True)
        return _newest(key, before, self._found)

    def write(self, record: Record) -> None:
        """Push the record as this task instance's XCom, and read it back.

        Raises:
            StateError: what is read back is not what was written.
        """
        text = record.to_json()
        warn_of_size(record.key, text)
        self._set(text, self._run_id)
        kept = self._get(record.key, {**self._task, "run_id": self._run_id})
        if kept is None or kept.to_json() != text:
            raise StateError(
                f"The state record of {record.key!r} was pushed as an XCom but reads differently",
                expected=f"version {record.version} in the XCom {XCOM_KEY!r}",
                found="nothing" if kept is None else f"version {kept.version}",
                remedy="see whether the XCom backend of the deployment keeps what it is given; this run's rows are "
                "loaded, its state is not kept",
            )

    def look_at(self, key: str, entries: Iterable[dict[str, Any]]) -> None:
        """Look whether a newer record is kept by runs that the journal names.

        Args:
            key: the state key.
            entries: rows of the journal, as dicts.
        """
        newest_first = sorted(entries, key=lambda entry: float(entry["load_id"]), reverse=True)
        for entry in newest_first[:_LOOKED_AT]:
            where = {name: entry[name] for name in ("dag_id", "task_id", "map_index", "run_id")}
            try:
                record = self._get(key, where)
            except StateError as error:
                log.warning("State: the record that run %s has left is of no use: %s", where["run_id"], error.message)
                continue
            if record is not None:
                self._found = _newest(key, record, self._found)
                return

    def revoke(self, record: Record, run_ids: Iterable[str]) -> None:
        """Put the record in place of those of runs whose commits are taken back."""
        for run_id in run_ids:
            where = {**self._task, "run_id": run_id}
            if run_id != self._run_id and internals.get_xcom(XCOM_KEY, where) is not None:
                self._set(record.to_json(), run_id)

    def _set(self, text: str, run_id: str) -> None:
        # As text: Airflow would read some dicts as objects of its own, and PostgreSQL refuses some characters.
        internals.set_xcom(XCOM_KEY, text, {**self._task, "run_id": run_id})

    @staticmethod
    def _get(key: str, where: dict[str, Any], *, include_prior_dates: bool = False) -> Record | None:
        value = internals.get_xcom(XCOM_KEY, where, include_prior_dates=include_prior_dates)
        return None if value is None else read_value(key, value)


def read_value(key: str, value: Any) -> Record:
    """Return the record out of an XCom's value.

    Raises:
        StateError: it is none.
    """
    text = value if isinstance(value, str) else json.dumps(value)
    if "://" in text and not text.lstrip().startswith("{"):
        raise StateError(
            f"The state record of {key!r} is not where its XCom says",
            expected="the object that the XCom backend of the deployment kept",
            found=f"none at {text}",
            remedy=f"restore the object, or {command('adopt', key)} to go on from what the destination holds",
        )
    return Record.from_json(text, key=key)


def _newest(key: str, *records: Record | None) -> Record:
    moved = [(record.moved_at, record) for record in records if record is not None and record.moved_at is not None]
    return max(moved, key=lambda pair: pair[0])[1] if moved else Record(key=key)
