"""What is counted on of Airflow that is not its public API, behind functions that say what they do.

Airflow's public API for tasks is `airflow.sdk` without `airflow.sdk.execution_time`; its models and its database are
for Airflow alone. Read in Airflow 3.1.8, 3.2.2 and 3.3.2. Everything that is counted on is listed with its signature in
`tests/internals.txt`. `child` and `state` use this module as well: it is in the wing that both may import.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TaskId = tuple[str, str, int]
"""DAG, task, and map index: -1 of a task that is not mapped."""


def supervisor_socket() -> socket.socket | None:
    """Return this process's end of the socket to its supervisor; None where tasks run without one of their own."""
    from airflow.sdk.execution_time import task_runner

    end = getattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "socket", None)
    return end if isinstance(end, socket.socket) and end.fileno() >= 0 else None


def states_in_runs(task: TaskId, run_ids: Iterable[str]) -> dict[str, str | None]:
    """Ask Airflow's server, from a task, for the states of a task in several runs.

    Returns:
        The state by run id, None where there is none yet; a run that is not there any more is left out.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    dag_id, task_id, map_index = task
    name = task_id if map_index < 0 else f"{task_id}_{map_index}"
    found = RuntimeTaskInstance.get_task_states(
        dag_id=dag_id, map_index=map_index, task_ids=[task_id], run_ids=list(run_ids)
    )
    return {
        run_id: None if tasks[name] is None else str(getattr(tasks[name], "value", tasks[name]))
        for run_id, tasks in found.items()
        if name in tasks
    }


def get_xcom(key: str, where: Mapping[str, Any], *, include_prior_dates: bool = False) -> Any:
    """Ask Airflow's server, from a task, for an XCom; None if there is none.

    Args:
        key: the XCom's.
        where: `dag_id`, `task_id`, `map_index` and `run_id`.
        include_prior_dates: take that of the newest run before, where the run itself has none.
    """
    from airflow.sdk.execution_time.xcom import XCom

    return XCom.get_one(key=key, **where, include_prior_dates=include_prior_dates)


def set_xcom(key: str, value: Any, where: Mapping[str, Any]) -> None:
    """Push an XCom, from a task, for any task instance.

    Args:
        key: the XCom's.
        value: what is kept.
        where: `dag_id`, `task_id`, `map_index` and `run_id`.
    """
    from airflow.sdk.execution_time.xcom import XCom

    XCom.set(key, value, **where)


def metadata_session() -> AbstractContextManager[Session]:
    """Open a session of the metadata database, which commits at its end; commands have one, tasks do not."""
    from airflow.utils.session import create_session

    return create_session()


def variables(session: Session, *, name: str | None = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and texts of Variables: the one of a name, or those whose names begin with `prefix`."""
    from airflow.models import Variable
    from sqlalchemy import select

    wanted = Variable.key == name if name else Variable.key.startswith(prefix, autoescape=True)
    for variable in session.scalars(select(Variable).where(wanted)):
        yield variable.key, variable.val or ""


def write_variable(session: Session, name: str, text: str, description: str) -> None:
    """Write a Variable, whether it is there or not."""
    from airflow.models import Variable
    from sqlalchemy import select

    variable = session.scalars(select(Variable).where(Variable.key == name)).one_or_none()
    if variable is None:
        variable = Variable(key=name)  # type: ignore[no-untyped-call]
        session.add(variable)
    variable.set_val(text)  # type: ignore[no-untyped-call]
    variable.description = description


def last_runs_with_xcom(session: Session, key: str, task: TaskId | None = None) -> dict[TaskId, str]:
    """Return the run whose XCom of a key was written last, by task; of one task alone if it is given."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    columns = (XComModel.dag_id, XComModel.task_id, XComModel.map_index, XComModel.run_id)
    query = select(*columns).where(XComModel.key == key).order_by(XComModel.timestamp)
    if task is not None:
        query = query.filter_by(**_columns(task))
    return {(dag_id, task_id, index): run_id for dag_id, task_id, index, run_id in session.execute(query)}


def read_xcom(session: Session, key: str, task: TaskId, run_id: str) -> Any:
    """Return what an XCom that is there keeps, wherever the deployment's XCom backend put it."""
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.xcom import XCom
    from sqlalchemy import select

    row: Any = session.scalars(select(XComModel).filter_by(key=key, run_id=run_id, **_columns(task))).one()
    return XCom.deserialize_value(row)


def replace_xcom(session: Session, key: str, task: TaskId, run_id: str, value: Any) -> None:
    """Put a row in place of the one that is there. `XComModel.set` encodes the value once more, in Airflow 3.1."""
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.xcom import XCom
    from sqlalchemy import delete, select

    where: dict[str, Any] = {**_columns(task), "run_id": run_id}
    encoded: Any = XCom.serialize_value(value, key=key, **where)
    session.execute(delete(XComModel).filter_by(key=key, **where))
    dag_run_id = session.scalars(select(DagRun.id).where(DagRun.dag_id == task[0], DagRun.run_id == run_id)).one()
    row: Any = XComModel
    session.add(row(dag_run_id=dag_run_id, key=key, value=encoded, **where))


def states_by_date(session: Session, task: TaskId) -> list[tuple[str, str | None]]:
    """Return runs of a task with its states, the newest logical date first; runs without one are left out."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    query = (
        select(TaskInstance.run_id, TaskInstance.state)
        .join(DagRun, (DagRun.dag_id == TaskInstance.dag_id) & (DagRun.run_id == TaskInstance.run_id))
        .where(DagRun.logical_date.is_not(None))
        .order_by(DagRun.logical_date.desc())
    )
    dag_id, task_id, map_index = task
    query = query.where(
        TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id, TaskInstance.map_index == map_index
    )
    return [(run_id, None if state is None else str(state)) for run_id, state in session.execute(query)]


def _columns(task: TaskId) -> dict[str, Any]:
    dag_id, task_id, map_index = task
    return {"dag_id": dag_id, "task_id": task_id, "map_index": map_index}
