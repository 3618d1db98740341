"""Which run of which task, and how to run it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from nilus.protocol.job import Run


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """Which run of which task this is.

    Dates are ISO 8601 with offset; `map_index` is -1 for a task that is not mapped. `keyed_by_name`: the state key
    names what is loaded, whatever the map index; no other task instance of the run has it.
    """

    state_key: str
    dag_id: str = ""
    task_id: str = ""
    map_index: int = -1
    run_id: str = "manual"
    run_type: str = "manual"
    try_number: int = 1
    logical_date: str | None = None
    interval_start: str | None = None
    interval_end: str | None = None
    keyed_by_name: bool = False

    def with_commit(self, repository: str, commit: str) -> Run:
        """Return the run as the child, the journal and the package store know it.

        Args:
            repository: its URL, without credentials.
            commit: full SHA.
        """
        from nilus.protocol.job import Run

        return Run(**dataclasses.asdict(self), repository=repository, commit=commit)

    @classmethod
    def of(cls, context: Context, *, state_key: str | None = None) -> TaskRun:
        """Return the run that a task's context is about.

        Args:
            context: Airflow's.
            state_key: name of the state; None for the default.
        """
        ti: Any = context["ti"]
        map_index = -1 if ti.map_index is None else ti.map_index
        start, end = data_interval(context)
        return cls(
            state_key=state_key or default_state_key(ti.dag_id, ti.task_id, map_index),
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            map_index=map_index,
            run_id=ti.run_id,
            run_type=_text(getattr(context.get("dag_run"), "run_type", None)) or "manual",
            try_number=ti.try_number,
            logical_date=_iso(context.get("logical_date")),
            interval_start=start,
            interval_end=end,
        )


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, the operator's arguments of the same names.

    `first_try` is the number of the first try since the task instance was made or cleared.
    """

    expected_commit: str | None = None
    resources: list[str] | None = None
    interval: tuple[str, str] | None = None
    backfill: str | None = None
    on_rerun: str = "replace"
    at_least_once: bool = False
    batching: str | None = None
    first_try: int = 1
    environment: str | None = None
    python: str | None = None


def default_state_key(dag_id: str, task_id: str, map_index: int = -1) -> str:
    """Return the state key of a task that is given none: `dag_id.task_id`, with the map index when it is mapped.

    Args:
        dag_id, task_id: the task, or a task group.
        map_index: -1 when it is not mapped.
    """
    return f"{dag_id}.{task_id}" if map_index < 0 else f"{dag_id}.{task_id}.{map_index}"


def data_interval(context: Context) -> tuple[str | None, str | None]:
    """Return start and end of the run's data interval as ISO 8601 with offset; None where the run has none."""
    return _iso(context.get("data_interval_start")), _iso(context.get("data_interval_end"))


def first_try(context: Context, *, retries: int) -> int:
    """Return the number of the first try since the task instance was made or cleared.

    As Airflow counts: clearing sets the limit of tries to the tries so far plus the retries.

    Args:
        context: Airflow's.
        retries: the task's.
    """
    ti: Any = context["ti"]
    return int(getattr(ti, "max_tries", retries) or retries) - retries + 1


def _iso(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _text(value: Any) -> str | None:
    return None if value is None else str(getattr(value, "value", value))
