"""What a run says about its end."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_nilus.child import memory, process
from nilus.errors import DestinationError, ProcessError, SourceError
from nilus.protocol.events import Prepared, Progress
from nilus.protocol.job import JOB_FORMAT

MEGABYTE = 1 << 20


def mask(text: str) -> str:
    return text.replace("hunter2-hunter2", "***")


def raised(child: process.ChildProcess) -> ProcessError:
    with pytest.raises(ProcessError) as caught:
        child.run()
    return caught.value


def test_death_by_signal_9_is_reported_as_probably_out_of_memory_with_the_peak(parent):
    """In a process of its own: below what the parent itself has used, a child's last peak cannot be known."""
    output = parent("light", "killed_by_9").output()
    peak = int(re.search(r"^peak (\d+)$", output, re.MULTILINE)[1])
    assert peak > 300 * MEGABYTE
    assert "killed by SIGKILL (signal 9), probably because memory ran out" in output
    assert f"its peak memory was {memory.readable(peak)}" in output
    assert "reading page 7" in output
    assert "retryable True" in output


def test_the_memory_of_the_parent_is_not_taken_for_that_of_the_child(parent):
    output = parent("heavy", "small_killed_by_9").output()
    peak = int(re.search(r"^peak (\d+)$", output, re.MULTILINE)[1])
    assert 5 * MEGABYTE < peak < 200 * MEGABYTE


def test_a_memory_limit_of_the_control_group_is_named(child, monkeypatch):
    monkeypatch.setattr(memory, "limit", lambda: 3 << 30)
    assert "may use 3.0 GiB in all" in raised(child("killed_by_9")).found


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/", {"memory.max": "2147483648"}, 2 << 30),
        ("0::/pod/box", {"memory.max": "max", "pod/memory.max": "1024", "pod/box/memory.max": "4096"}, 1024),
        ("0::/host/path", {"memory.max": "max"}, None),
        ("4:memory:/docker/1\n2:cpu:/", {"memory/memory.limit_in_bytes": "4096"}, 4096),
        ("4:memory:/docker/1", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_the_lowest_limit_on_the_way_up_counts(tmp_path, cgroup, files, expected):
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    membership = tmp_path / "self_cgroup"
    membership.write_text(f"{cgroup}\n")
    assert memory.limit(membership, tmp_path / "cgroup") == expected


def test_a_memory_error_is_reported_as_out_of_memory(child):
    error = raised(child("out_of_memory"))
    assert error.message == "The run is out of memory."
    assert "MemoryError" in error.found


def test_a_crash_in_a_compiled_library_is_told_with_its_signal_and_stack(child):
    error = raised(child("segfault"))
    assert "crashed by SIGSEGV (signal 11)" in error.message
    assert "in segfault" in error.found


def test_an_exit_without_a_result_is_an_error_and_nothing_said_before_is_lost(child, log):
    events = []
    error = raised(child("exits_with_3", on_event=events.append))
    assert "ended with exit code 3 and without a result" in error.message
    assert events == [Prepared(load_ids=["1"], tables=["orders"])]
    assert log.texts() == ["the last line"]
    assert "the last line" in error.found


def test_sigterm_from_somebody_else_is_told(child):
    assert "ended by SIGTERM, which this task did not send" in raised(child("terminated_by_somebody")).message


def test_a_source_that_exits_has_failed_even_with_code_0(child):
    with pytest.raises(SourceError, match="ended the process") as caught:
        child("sys_exits").run()
    assert caught.value.found == "sys.exit(0)"
    assert not caught.value.retryable


def test_an_error_of_ours_arrives_as_it_was_without_its_secrets(child):
    with pytest.raises(DestinationError) as caught:
        child("raises_ours", mask=mask).run()
    error = caught.value
    assert (error.message, error.expected, error.found) == ("The sink refused the password ***.", "a password", "***")
    assert (error.remedy, error.retryable) == ("correct it", True)


def test_any_other_exception_is_a_process_error_with_type_and_message(child):
    error = raised(child("raises_a_chain"))
    assert error.message == "ValueError: page 3 of hunter2-hunter2"
    assert error.retryable


def test_the_traceback_is_one_error_record_with_its_causes_and_without_secrets(child, log):
    raised(child("raises_a_chain", mask=mask))
    (text,) = [text for level, name, text in log.lines if (level, name) == ("ERROR", "nilus.source")]
    assert "KeyError: 'missing'" in text
    assert "direct cause" in text
    assert text.rstrip().endswith("ValueError: page 3 of ***")
    assert "hunter2" not in str(log.lines)


def test_an_exception_that_cannot_be_printed_is_reported(child):
    assert raised(child("raises_the_unprintable")).message.startswith("Unprintable")


def test_a_state_that_is_no_json_is_reported(child):
    assert "not JSON serializable" in raised(child("state_is_no_json")).message


def test_progress_and_preparation_reach_the_listener(child):
    events = []
    child("reports_progress", on_event=events.append).run()
    assert events == [
        Progress(step="extract", seconds=1.5, rows={"orders": 10}),
        Prepared(load_ids=["1"], tables=["orders"]),
    ]


def test_every_question_gets_its_own_answer(child):
    def answer(question):
        return {"live": [entry["load_id"] for entry in question.entries]}

    state = child("asks", answer=answer).run().state
    assert state == {str(number): {"live": [str(number)]} for number in range(5)}


def test_an_answer_that_fails_ends_the_run(child, trace):
    def answer(_question):
        raise LookupError("Airflow is away")

    with pytest.raises(LookupError):
        child("asks", answer=answer).run()
    trace.seconds_until_gone(5)


def test_something_else_on_the_event_pipe_is_an_error(child):
    assert "not an event" in raised(child("writes_garbage_for_events")).message


def test_large_jobs_and_states_pass(child, work_dir, make_job, log):
    job = make_job(work_dir, state={"blob": "x" * 6_000_000})
    result = child("large_state", job=job).run()
    assert log.texts() == ["started from 6000000"]
    assert result.state == {"blob": "é" * 5_000_000}


def test_an_event_beyond_the_bound_is_an_error(child, work_dir, make_job, monkeypatch):
    monkeypatch.setattr(process, "EVENT_LIMIT", 4 * MEGABYTE)
    error = raised(child("large_state", job=make_job(work_dir, state={"blob": ""})))
    assert "too large" in error.message
    assert error.expected == "at most 4 MiB"


def test_a_child_that_writes_before_it_reads_a_large_job_does_not_block(child, work_dir, make_job, tmp_path, log):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nyes a-line-of-text | head -c 3000000\nexec "{sys.executable}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    job = make_job(work_dir, state={"blob": "x" * 6_000_000})
    child("large_state", job=job, python=str(python)).run()
    assert len(log.texts()) == 200_001


def test_an_interpreter_that_is_not_there_is_told(child):
    error = raised(child("succeeds", python="/no/such/python"))
    assert "could not be started: No such file or directory" in error.message
    assert error.found == "/no/such/python"


def test_a_work_folder_that_is_not_there_is_told(child, make_job):
    missing = Path("/no/such/folder")
    assert "/no/such/folder" in raised(child("succeeds", job=make_job(missing))).found


def test_a_job_of_another_format_is_reported(child, work_dir, make_job):
    error = raised(child("succeeds", job=replace(make_job(work_dir), format=99)))
    assert f"job of format {JOB_FORMAT}, found 99" in error.message


def test_the_wait_for_an_answer_is_bounded():
    import queue

    from nilus.protocol.channel import Channel
    from nilus.protocol.events import Unsettled

    reader, writer = os.pipe()
    try:
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        channel = Channel(writer, lambda timeout: lines.get(timeout=timeout))
        with pytest.raises(ProcessError, match="within 0 seconds"):
            channel.ask(Unsettled(entries=[]), timeout=0.01)
        lines.put(b"[1]")
        with pytest.raises(ProcessError, match="cannot be read"):
            channel.ask(Unsettled(entries=[]))
        lines.put(json.dumps({"live": []}).encode())
        assert channel.ask(Unsettled(entries=[])) == {"live": []}
    finally:
        os.close(reader)
        os.close(writer)
