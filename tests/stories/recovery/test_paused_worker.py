"""A worker is paused in its load, another attempt takes the load over, and the worker wakes up."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time

import psutil
import pytest

from nilus.errors import NilusError, StateConflict

POINTS = ("after_journal", "first_job_begins", "first_job_done", "second_job_done", "before_complete")
SINKS = {
    "postgres": POINTS,
    "mariadb": POINTS,
    "files": ("after_journal", "first_job_done", "before_complete"),
    "lakehouse": ("after_journal", "files_written", "first_table_committed", "before_complete"),
}
ALWAYS = (
    ("postgres", "first_job_done"),
    ("mariadb", "second_job_done"),
    ("files", "first_job_done"),
)
MATRIX = [
    pytest.param(sink, point, marks=[] if (sink, point) in ALWAYS else [pytest.mark.soak])
    for sink, points in SINKS.items()
    for point in points
]


def _paused(world, tmp_path, run_id, rows, point):
    """Start an attempt that stops at a point; return its pid, its thread and what it raises."""
    pid, raised = tmp_path / "child", []
    paused = dataclasses.replace(world, environ={"NILUS_KILL_WHO": "pause", "NILUS_CHILD_PID": str(pid)})

    def attempt():
        try:
            paused.run(run_id, rows, kill_at=point)
        except NilusError as error:
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    until = time.monotonic() + 120
    while not pid.exists() or psutil.Process(int(pid.read_text())).status() != psutil.STATUS_STOPPED:
        assert thread.is_alive(), raised
        assert time.monotonic() < until
        time.sleep(0.02)
    return int(pid.read_text()), thread, raised


@pytest.mark.parametrize(("sink", "point"), MATRIX)
def test_a_worker_that_wakes_up_after_its_load_was_taken_over_lands_nothing(sink, point, make_world, tmp_path):
    world = make_world(sink)
    world.run("a", 120)
    pid, thread, raised = _paused(world, tmp_path, "b", 300, point)
    world.run("b", 300)
    os.kill(pid, signal.SIGCONT)
    thread.join(120)
    (error,) = raised
    assert isinstance(error, StateConflict), error
    # Before its first row it looks at the journal anyway, and sees the other's load.
    said = "has loaded meanwhile" if point == "after_journal" else "was taken over by attempt 2 of run b"
    assert said in error.message
    world.check(300)
    world.run("c", 350)
    world.check(350)


def test_a_load_whose_lock_was_lost_stops_and_its_retry_makes_it_good(make_world, tmp_path):
    world = make_world("postgres")
    world.run("a", 120)
    pid, thread, raised = _paused(world, tmp_path, "b", 300, "first_job_done")
    ended = world.query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE locktype = 'advisory' AND d.datname = current_database()"
    )
    assert ended
    os.kill(pid, signal.SIGCONT)
    thread.join(120)
    (error,) = raised
    assert error.message == "The lock on the staging tables was lost"
    assert error.retryable
    world.run("b", 300)
    world.check(300)


@pytest.mark.parametrize(
    "sink", ["duckdb", *(pytest.param(one, marks=pytest.mark.soak) for one in ("postgres", "mariadb"))]
)
def test_a_load_file_whose_answer_was_lost_is_loaded_once(sink, make_world):
    world = make_world(sink)
    dataclasses.replace(world, environ={"NILUS_LOST_ANSWER": "1"}).run("a", 120)
    world.check(120)
    assert world.query("SELECT * FROM raw._airflow_files") == [], "what is complete needs no notes"
