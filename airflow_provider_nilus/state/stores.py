"""The store that a task's `state` argument names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nilus.state.store import StateStore

if TYPE_CHECKING:
    from airflow_provider_nilus.task.run import TaskRun


def open_store(state: str | StateStore, task_run: TaskRun) -> StateStore:
    """Return the store.

    Args:
        state: `"variable"`, `"xcom"`, or a store.
        task_run: whose record it is.

    Raises:
        WorkflowError: the name is not known.
    """
    from airflow_provider_nilus.state.variable import VariableStore
    from airflow_provider_nilus.state.xcom import XComStore
    from nilus.errors import WorkflowError

    if isinstance(state, StateStore):
        return state
    if state == "variable":
        return VariableStore()
    if state == "xcom":
        return XComStore(
            dag_id=task_run.dag_id,
            task_id=task_run.task_id,
            map_index=task_run.map_index,
            run_id=task_run.run_id,
            logical_date=task_run.logical_date,
        )
    raise WorkflowError(
        "The operator's `state` is not known",
        expected='"variable", "xcom", or an object with read(key) and write(record)',
        found=repr(state),
        remedy="correct the argument",
    )
