"""What Airflow says of other task instances of this task."""

from __future__ import annotations

from collections.abc import Iterable

_RUNNING = frozenset({"running", "restarting"})
_OVER = frozenset({"success", "failed", "skipped", "removed", "upstream_failed"})


def states(dag_id: str, task_id: str, map_index: int, run_ids: Iterable[str]) -> dict[str, str | None]:
    """Ask Airflow for the states of a task in several runs.

    Args:
        dag_id, task_id, map_index: the task; -1 for one that is not mapped.
        run_ids: the runs.

    Returns:
        The state by run id; None where the instance was cleared and is not scheduled yet. A run that is not there
        any more is left out.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    wanted = list(dict.fromkeys(run_ids))
    if not wanted:
        return {}
    name = task_id if map_index < 0 else f"{task_id}_{map_index}"
    found = RuntimeTaskInstance.get_task_states(dag_id=dag_id, map_index=map_index, task_ids=[task_id], run_ids=wanted)
    return {
        run_id: None if tasks[name] is None else str(getattr(tasks[name], "value", tasks[name]))
        for run_id, tasks in found.items()
        if name in tasks
    }


def is_running(state: str | None) -> bool:
    """Tell whether a task instance in this state has a process."""
    return state in _RUNNING


def is_to_run_again(state: str | None) -> bool:
    """Tell whether a task instance that has once been over was cleared and has not begun again."""
    return state not in _OVER | _RUNNING
