"""Whatever ends a run, nothing it started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from nilus.errors import ProcessError, SourceError

BOUND = 5.0


@pytest.mark.parametrize("entry", ["tree", "deaf", "frozen", "keeps_the_interpreter_lock"])
def test_on_kill_ends_the_whole_group_within_five_seconds(parent, trace, entry):
    task = parent("on_kill", entry)
    task.ready()
    task.process.send_signal(signal.SIGTERM)
    trace.seconds_until_gone(BOUND)
    assert "raised ProcessError: The run was ended because its task was ended." in task.output()


@pytest.mark.parametrize("entry", ["tree", "deaf", "frozen", "keeps_the_interpreter_lock"])
def test_an_execution_timeout_ends_the_whole_group_within_five_seconds(parent, trace, entry):
    task = parent("time_out", entry)
    task.ready()
    task.process.send_signal(signal.SIGALRM)
    trace.seconds_until_gone(BOUND)
    assert "raised TimedOut" in task.output()


def test_ctrl_c_ends_the_whole_group_within_five_seconds(parent, trace):
    task = parent("plain", "tree")
    task.ready()
    task.process.send_signal(signal.SIGINT)
    trace.seconds_until_gone(BOUND)
    assert "raised KeyboardInterrupt" in task.output()


def test_two_signals_at_once_end_it_as_well(parent, trace):
    task = parent("on_kill", "tree")
    task.ready()
    for _ in range(3):
        task.process.send_signal(signal.SIGTERM)
    trace.seconds_until_gone(BOUND)
    assert "raised ProcessError" in task.output()


@pytest.mark.parametrize("entry", ["tree", "keeps_the_interpreter_lock"])
def test_the_child_and_its_family_die_soon_after_a_killed_parent(parent, trace, entry, record_property):
    task = parent("plain", entry)
    task.ready()
    task.process.kill()
    task.process.wait()
    seconds = trace.seconds_until_gone(BOUND)
    record_property("seconds_after_the_parent", round(seconds, 3))
    print(f"{entry}: gone {seconds:.2f} s after the parent")


def test_a_parent_killed_at_any_time_of_the_start_leaves_nothing(parent, trace):
    for step in range(8):
        task = parent("plain", "sleeps")
        until = time.monotonic() + 20
        while not trace.living() and time.monotonic() < until:
            pass
        time.sleep(step * 0.02)
        task.process.kill()
        task.process.wait()
        trace.seconds_until_gone(BOUND)


def test_the_family_of_a_parent_that_was_stopped_before_it_was_killed_dies_too(parent, trace):
    task = parent("plain", "tree")
    task.ready()
    task.process.send_signal(signal.SIGSTOP)
    task.process.kill()
    task.process.wait()
    trace.seconds_until_gone(BOUND)


def test_a_timeout_at_any_time_of_the_start_leaves_nothing(parent, trace):
    for step in range(10):
        task = parent("time_out_after", "sleeps", str(0.001 + step * 0.015))
        assert "raised TimedOut" in task.output()
        trace.seconds_until_gone(BOUND)


def test_a_signal_between_the_fork_and_its_answer_leaves_nothing(parent, trace):
    """The parent goes on living, and has never learned the child's id."""
    task = parent("interrupted_fork", "sleeps")
    assert "raised TimedOut" in task.process.stdout.readline()
    trace.seconds_until_gone(BOUND)
    assert task.process.poll() is None


def test_the_source_and_its_processes_get_time_to_tidy_up(parent, work_dir, trace):
    task = parent("on_kill", "tidies_up")
    task.ready()
    task.process.send_signal(signal.SIGTERM)
    trace.seconds_until_gone(BOUND)
    assert (work_dir / "tidied").exists()
    assert (work_dir / "grandchild_tidied").exists()


def test_terminate_before_run_starts_nothing(child, trace):
    process = child("sleeps")
    process.terminate()
    with pytest.raises(ProcessError, match="ended because its task was ended"):
        process.run()
    assert trace.living() == []


def test_terminate_after_the_end_does_nothing(child):
    process = child("succeeds")
    process.run()
    process.terminate()
    process.terminate()


def test_a_child_runs_once(child):
    process = child("succeeds")
    process.run()
    with pytest.raises(RuntimeError):
        process.run()


def test_terminate_from_several_threads_returns_when_the_group_is_gone(child, trace, work_dir):
    process = child("tree")

    def terminate() -> None:
        until = time.monotonic() + 20
        while not (work_dir / "ready.json").exists() and time.monotonic() < until:
            time.sleep(0.01)
        process.terminate()

    threads = [threading.Thread(target=terminate) for _ in range(3)]
    for thread in threads:
        thread.start()
    with pytest.raises(ProcessError):
        process.run()
    for thread in threads:
        thread.join()
    trace.seconds_until_gone(BOUND)


def test_terminate_from_a_thread_at_any_time_of_the_start_leaves_nothing(child, trace):
    for step in range(12):
        process = child("sleeps")
        timer = threading.Timer(step * 0.01, process.terminate)
        timer.start()
        with pytest.raises(ProcessError, match="ended because its task was ended"):
            process.run()
        timer.join()
        trace.seconds_until_gone(BOUND)


@pytest.mark.parametrize("entry", ["leaves_a_grandchild", "leaves_a_chatterbox", "leaves_an_escaped_one"])
def test_what_a_finished_source_leaves_running_is_ended_and_does_not_hold_up_the_run(child, trace, entry):
    start = time.monotonic()
    assert child(entry).run().load_ids == ["1700000000.1"]
    trace.seconds_until_gone(BOUND)
    assert time.monotonic() - start < 20


def test_what_a_finished_source_leaves_running_is_told(child, log):
    child("leaves_a_grandchild").run()
    assert ("WARNING", "task", "The source left 1 processes running: they were ended.") in log.lines


@pytest.mark.parametrize("entry", ["leaves_threads", "hangs_at_exit"])
def test_threads_and_exit_functions_do_not_keep_a_finished_child(child, trace, entry):
    assert child(entry).run().load_ids == ["1700000000.1"]
    trace.seconds_until_gone(BOUND)


def test_functions_registered_at_exit_run(child, work_dir):
    child("registers_at_exit").run()
    assert (work_dir / "at_exit").exists()


def test_a_child_that_closes_all_its_descriptors_is_ended(child, trace):
    with pytest.raises(ProcessError):
        child("closes_everything").run()
    trace.seconds_until_gone(BOUND)


@pytest.mark.parametrize("error", [SourceError("no"), KeyboardInterrupt()])
def test_an_error_of_whoever_listens_ends_the_group(child, trace, error):
    def on_event(_event):
        raise error

    with pytest.raises(type(error)):
        child("reports_progress", on_event=on_event).run()
    trace.seconds_until_gone(BOUND)


def test_no_descriptor_and_no_zombie_stays_behind(child):
    child("succeeds").run()
    before = sorted(Path("/proc/self/fd").iterdir())
    for entry in ("succeeds", "raises_a_chain", "killed_by_9"):
        try:
            child(entry).run()
        except ProcessError:
            continue
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    zombies = [pid for pid in children.read_text().split() if " Z " in Path(f"/proc/{pid}/stat").read_text()]
    assert zombies == []


def test_the_end_is_found_where_the_system_has_no_waitid(child, monkeypatch):
    monkeypatch.delattr(os, "waitid")
    assert child("succeeds").run().load_ids == ["1700000000.1"]
    with pytest.raises(ProcessError, match="SIGKILL"):
        child("killed_by_9").run()


def test_a_worker_that_ignores_sigchld_still_gets_results(child):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert child("succeeds").run().load_ids == ["1700000000.1"]
        with pytest.raises(ProcessError, match="how is not known"):
            child("exits_with_3").run()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_process_started_meanwhile_inherits_no_end_of_the_pipes(child):
    """It would keep the child from noticing its parent's death."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*_: object) -> None:
        started.append(subprocess.Popen(["sleep", "600"], close_fds=False))

    try:
        start()
        child("reports_progress", on_event=start).run()
        before, during, _ = [
            sorted(str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir()) for process in started
        ]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert during == before


def _seconds_until_daemon_is_gone(work_dir: Path) -> float:
    pid = (work_dir / "daemon").read_text()
    start = time.monotonic()
    while Path("/proc", pid).exists() and " Z " not in Path("/proc", pid, "stat").read_text():
        assert time.monotonic() - start < BOUND, "the daemon lives on"
        time.sleep(0.02)
    return time.monotonic() - start


def test_a_daemon_without_environment_is_gone_when_the_source_has_ended(child, work_dir):
    child("leaves_a_daemon").run()
    assert _seconds_until_daemon_is_gone(work_dir) < BOUND


@pytest.mark.parametrize("entry", ["leaves_a_daemon_and_sleeps", "leaves_a_daemon_and_is_deaf"])
def test_on_kill_ends_a_daemon_without_environment(parent, work_dir, entry):
    task = parent("on_kill", entry)
    task.ready()
    task.process.send_signal(signal.SIGTERM)
    task.output()
    assert _seconds_until_daemon_is_gone(work_dir) < BOUND


@pytest.mark.parametrize("entry", ["leaves_a_daemon_and_sleeps", "leaves_a_daemon_and_keeps_the_lock"])
def test_a_daemon_without_environment_dies_soon_after_a_killed_parent(parent, work_dir, entry):
    task = parent("plain", entry)
    task.ready()
    task.process.kill()
    task.process.wait()
    assert _seconds_until_daemon_is_gone(work_dir) < BOUND


def test_no_neighbour_reads_the_child_and_it_leaves_no_core(child):
    assert child("tells_what_is_open").run().state == {"dumpable": 0, "core": [0, 0]}
