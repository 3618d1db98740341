"""Records as the metadata database has them, for commands: tasks cannot read it, and commands are no tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_nilus.state.record import Record
from airflow_provider_nilus.state.variable import PREFIX, refuse_shadow, variable_name
from airflow_provider_nilus.state.xcom import XCOM_KEY, read_value
from airflow_provider_nilus.task import internals
from airflow_provider_nilus.task.run import default_state_key
from airflow_provider_nilus.task.states import OVER
from nilus.errors import NilusError, StateError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Task(NamedTuple):
    """A task whose XComs keep a record; `map_index` is -1 where it is not mapped."""

    dag_id: str
    task_id: str
    map_index: int = -1

    @property
    def key(self) -> str:
        """The state key it has by default."""
        return default_state_key(self.dag_id, self.task_id, self.map_index)


@dataclass(frozen=True)
class StoredRecord:
    """What is kept of a key.

    Attributes:
        key: the state key; of a Variable that cannot be read, what its name says.
        task: the task whose XCom it is; None for a Variable.
        name: the Variable's name, or the run whose XCom it is.
        record: None if it cannot be read.
        trouble: why not.
        size: in bytes; 0 where nothing is kept yet.
    """

    key: str
    task: Task | None
    name: str
    record: Record | None
    trouble: StateError | None = None
    size: int = 0

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"Variable {self.name}" if self.task is None else f"XCom of {self.task.key}, run {self.name or 'none'}"


def all_records() -> list[StoredRecord]:
    """Return what is kept in Variables and in XComs, in the order of the keys."""
    with internals.metadata_session() as session:
        found = [*_variables(session), *_xcoms(session)]
    return sorted(found, key=lambda kept: kept.key)


def find(key: str, task: Task | None = None) -> StoredRecord:
    """Return what is kept of a key.

    Args:
        key: the state key.
        task: where to look and to write, if no record names the key: a task that keeps its state in XComs.

    Raises:
        StateError: it is kept twice, in a Variable and in XComs.
    """
    with internals.metadata_session() as session:
        variable = next(_variables(session, variable_name(key), key), None)
        xcoms = [kept for kept in _xcoms(session, task) if kept.key == key or kept.task == task]
    if task is not None:
        return xcoms[0] if xcoms else StoredRecord(key, task, "", Record(key=key))
    if variable and xcoms:
        raise StateError(
            f"The state of {key!r} is kept twice",
            expected="one record",
            found=f"{variable.place}, and {xcoms[0].place}",
            remedy="name the task with --dag-id and --task-id, or delete the one that is not used any more",
        )
    if len(xcoms) > 1:
        return max(
            xcoms, key=lambda kept: kept.record.moved_at.timestamp() if kept.record and kept.record.moved_at else 0
        )
    return variable or next(iter(xcoms), StoredRecord(key, None, variable_name(key), Record(key=key)))


def write(kept: StoredRecord, record: Record) -> StoredRecord:
    """Keep a record in the place of another one.

    Returns:
        Where it is now.

    Raises:
        StateError: it is shadowed, or the task is not over.
    """
    with internals.metadata_session() as session:
        if kept.task is None:
            _write_variable(session, kept.name, record)
            return replace(kept, record=record)
        run_id = _newest_run(session, kept.task)
        internals.replace_xcom(session, XCOM_KEY, kept.task, run_id, record.to_json())
        return replace(kept, record=record, name=run_id)


def _variables(session: Session, name: str | None = None, key: str | None = None) -> Iterator[StoredRecord]:
    for found, text in internals.variables(session, name=name, prefix=PREFIX):
        yield _read_record(key or _key_in(text) or found.removeprefix(PREFIX), None, found, text)


def _xcoms(session: Session, task: Task | None = None) -> Iterator[StoredRecord]:
    """Yield of each task the record that was written last."""
    newest = internals.last_runs_with_xcom(session, XCOM_KEY, task)
    for owner, run_id in ((Task(*found), run_id) for found, run_id in newest.items()):
        value = internals.read_xcom(session, XCOM_KEY, owner, run_id)
        text = value if isinstance(value, str) else ""
        yield _read_record(_key_in(text) or owner.key, owner, run_id, text)


def _key_in(text: str) -> str | None:
    import json

    try:
        document = json.loads(text)
    except ValueError:
        return None
    key = document.get("key") if isinstance(document, dict) else None
    return key if isinstance(key, str) else None


def _read_record(key: str, task: Task | None, name: str, text: str) -> StoredRecord:
    try:
        record = read_value(key, text)
    except NilusError as error:
        trouble = error if isinstance(error, StateError) else StateError(str(error))
        return StoredRecord(key, task, name, None, trouble, len(text))
    return StoredRecord(key, task, name, record, None, len(text))


def _write_variable(session: Session, name: str, record: Record) -> None:
    refuse_shadow(record.key, name)
    internals.write_variable(session, name, record.to_json(), f"State of {record.key}, version {record.version}")


def _newest_run(session: Session, task: Task) -> str:
    """Return the run with the newest logical date: what is kept there is what the next run finds.

    Raises:
        StateError: there is none, or a task instance is not over, which would remove what is kept there.
    """
    found = internals.states_by_date(session, task)
    open_ = [run_id for run_id, state in found if state not in OVER]
    if open_ or not found:
        raise StateError(
            f"There is no XCom in which a record of {task.key!r} could be kept now",
            expected="a task instance with a logical date, and none that is not over: its start removes its XComs",
            found=f"run {open_[0]} is not over" if open_ else "no run of this task",
            remedy="try again when the task has run" if open_ else "see whether --dag-id and --task-id are right",
        )
    return found[0][0]
