"""What Airflow says of other task instances of this task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_nilus.task import internals

_RUNNING = frozenset({"running", "restarting"})
OVER = frozenset({"success", "failed", "skipped", "removed", "upstream_failed"})
"""The states of a task instance that has ended."""


def states(dag_id: str, task_id: str, map_index: int, run_ids: Iterable[str]) -> dict[str, str | None]:
    """Ask Airflow for the states of a task in several runs.

    Args:
        dag_id, task_id, map_index: the task; -1 for one that is not mapped.
        run_ids: the runs.

    Returns:
        The state by run id; None where the instance was cleared and is not scheduled yet. A run that is not there
        any more is left out.
    """
    wanted = list(dict.fromkeys(run_ids))
    return internals.states_in_runs((dag_id, task_id, map_index), wanted) if wanted else {}


def of_entries(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Ask Airflow for the task instances that journal entries belong to.

    Args:
        entries: rows of the journal.

    Returns:
        `live`: load ids of task instances that are running; `states`: the state by load id, `cleared` for one that is
        to run again, `gone` where Airflow does not know the run any more.
    """
    runs: dict[tuple[str, str, int], dict[str, list[str]]] = {}
    for entry in entries:
        task = (entry["dag_id"], entry["task_id"], entry["map_index"])
        runs.setdefault(task, {}).setdefault(entry["run_id"], []).append(entry["load_id"])
    live: list[str] = []
    of_load: dict[str, str] = {}
    for task, load_ids in runs.items():
        found = states(*task, load_ids)
        for run_id, ids in load_ids.items():
            state = found.get(run_id)
            if is_running(state):
                live += ids
            said = "gone" if run_id not in found else "cleared" if is_to_run_again(state) else str(state)
            of_load |= dict.fromkeys(ids, said)
    return {"live": live, "states": of_load}


def is_running(state: str | None) -> bool:
    """Tell whether a task instance in this state has a process."""
    return state in _RUNNING


def is_to_run_again(state: str | None) -> bool:
    """Tell whether a task instance that has once been over was cleared and has not begun again."""
    return state not in OVER | _RUNNING
