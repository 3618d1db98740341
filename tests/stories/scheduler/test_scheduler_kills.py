"""Whatever ends a task under a real scheduler, nothing that its source started is left."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from scheduler_fixture import describe, running

# From the request: up to a second until the supervisor asks the server whether to go on, two seconds of grace between
# SIGTERM and SIGKILL, five until Airflow would kill the task's process itself; and room for a busy machine.
BOUND = 10.0
TIMEOUT = 15.0  # of the DAG hanging_until_timeout


class Family:
    """The processes of a hanging source: the child, and two that ignore SIGTERM, one in a session of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.pids: dict[str, int] = {}

    def wait_until_it_hangs(self, airflow, dag_id: str, run_id: str, bound: float = 90.0) -> None:
        deadline = time.monotonic() + bound
        while not (self._folder / "child").exists():
            run = airflow.run(dag_id, run_id)
            ended = run.state in ("success", "failed") or time.monotonic() > deadline
            assert not ended, f"the source did not start: {run.states}\n{airflow.errors(run)}"
            time.sleep(0.2)
        self.pids = {name: int((self._folder / name).read_text()) for name in ("child", "grandchild", "stray")}
        assert sorted(running(self.pids.values())) == sorted(self.pids.values())

    @property
    def task_runner(self) -> psutil.Process:
        """The process in which Airflow runs the operator."""
        return psutil.Process(self.pids["child"]).parent()

    def seconds_until_gone(self, bound: float) -> float:
        started = time.monotonic()
        while left := running(self.pids.values()):
            waited = time.monotonic() - started
            assert waited < bound, f"left after {waited:.1f} s: {[describe(pid) for pid in left]}"
            time.sleep(0.02)
        return time.monotonic() - started


@pytest.fixture
def family(tmp_path):
    return Family(tmp_path)


@pytest.fixture
def hang(airflow, family, tmp_path):
    """Trigger a DAG whose source hangs, and wait until it does."""
    triggered = []

    def trigger(dag_id: str) -> str:
        run_id = airflow.trigger(dag_id, conf={"folder": str(tmp_path)})
        triggered.append((dag_id, run_id))
        family.wait_until_it_hangs(airflow, dag_id, run_id)
        return run_id

    yield trigger
    for dag_id, run_id in triggered:
        if airflow.run(dag_id, run_id).task("load")["state"] not in ("success", "failed"):
            airflow.mark(dag_id, run_id, "load", "failed")


def failure(airflow, dag_id: str, run_id: str) -> list[dict]:
    """Return the exceptions with which Airflow says that the task failed, outermost last."""
    (line,) = [line for line in airflow.task_log(dag_id, run_id, "load") if line.event == "Task failed with exception"]
    return line.fields["error_detail"]


def test_marking_a_task_failed_ends_its_source_and_all_it_started(airflow, hang, family, record_property):
    run_id = hang("hanging")
    runner = family.task_runner
    airflow.mark("hanging", run_id, "load", "failed")
    seconds = family.seconds_until_gone(BOUND)
    record_property("seconds_after_marking", round(seconds, 2))
    print(f"marked failed: gone after {seconds:.2f} s")
    runner.wait(BOUND)
    assert airflow.wait("hanging", run_id, state="failed").states == {"load": "failed"}
    (error,) = failure(airflow, "hanging", run_id)
    assert error["exc_type"] == "ProcessError"
    assert "The run was ended because its task was ended" in error["exc_value"]


def test_clearing_a_running_task_ends_its_source_and_all_it_started(airflow, hang, family, record_property):
    run_id = hang("hanging")
    airflow.clear("hanging", run_id, "load")
    seconds = family.seconds_until_gone(BOUND)
    record_property("seconds_after_clearing", round(seconds, 2))
    print(f"cleared: gone after {seconds:.2f} s")


def test_an_execution_timeout_ends_the_source_and_all_it_started(airflow, hang, family, record_property):
    run_id = hang("hanging_until_timeout")
    run = airflow.wait("hanging_until_timeout", run_id, state="failed")
    family.seconds_until_gone(BOUND)
    seconds = run.task("load")["duration"] - TIMEOUT
    record_property("seconds_after_timeout", round(seconds, 2))
    print(f"timed out: gone and reported {seconds:.2f} s after the timeout")
    assert failure(airflow, "hanging_until_timeout", run_id)[-1]["exc_type"] == "AirflowTaskTimeout"


@pytest.mark.parametrize("who", ["task runner", "supervisor"])
def test_nothing_outlives_a_killed_task_process(airflow, hang, family, record_property, who):
    """Airflow has two processes for a task: one runs the operator, the other watches it and reports."""
    hang("hanging")
    runner = family.task_runner
    supervisor = runner.parent()
    assert "LocalExecutor" in " ".join(supervisor.cmdline())
    (runner if who == "task runner" else supervisor).kill()
    seconds = family.seconds_until_gone(BOUND)
    record_property("seconds_after_sigkill", round(seconds, 2))
    print(f"{who} killed: gone after {seconds:.2f} s")
    runner.wait(BOUND)
