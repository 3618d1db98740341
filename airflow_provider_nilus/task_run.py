"""Which run of which task, and how to run it."""

from __future__ import annotations

from dataclasses import dataclass


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
