"""A DuckDB file has one writer: who waits for whom, and what is said of it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time

import pytest

from nilus.errors import DestinationError
from nilus.protocol.job import SinkSpec
from nilus.runtime.sinks.databases import waiting
from nilus.runtime.sinks.databases.duckdb import DuckDBSink

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reader")
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def sink(tmp_path):
    return DuckDBSink(SinkSpec(address=f"duckdb:///{tmp_path}/lake.duckdb", display_address="lake", dataset="raw"))


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(waiting, "_SAY_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(waiting, "_POLL_SECONDS", 0.01)


def _said(caplog, words):
    deadline = time.monotonic() + 60
    while words not in caplog.text:
        assert time.monotonic() < deadline, caplog.text
        time.sleep(0.01)


def _hold(sink, mode):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(sink.path), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"open\n"
    return holder


def test_runs_of_ours_take_turns_and_say_so(sink, soon, caplog):
    caplog.set_level(logging.INFO, logger="nilus")
    order = []

    def second():
        with sink.exclusive():
            order.append("second")

    thread = threading.Thread(target=second)
    with sink.exclusive():
        thread.start()
        _said(caplog, f"Waiting for another run that writes to {sink.path}")
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert "Waited" in caplog.text


@pytest.mark.parametrize("mode", ["writer", "reader"])
def test_any_other_process_that_has_the_file_open_is_waited_for(sink, soon, caplog, mode):
    caplog.set_level(logging.INFO, logger="nilus")
    with sink.exclusive():
        pass  # makes the file
    holder = _hold(sink, mode)
    entered = threading.Event()

    def enter():
        with sink.exclusive():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    try:
        _said(caplog, "Waiting for another process that has opened")
        assert not entered.is_set()
    finally:
        holder.communicate(b"\n", timeout=60)
    thread.join(60)
    assert entered.is_set()


def test_waiting_has_an_end_and_another_try_may_help(sink, soon, monkeypatch):
    monkeypatch.setattr(waiting, "TIMEOUT_SECONDS", 0.05)
    with sink.exclusive():
        other = DuckDBSink(sink.spec)
        with pytest.raises(DestinationError, match="Waited too long for another run") as caught, other.exclusive():
            pass
    assert caught.value.retryable


def test_the_lock_of_a_process_that_died_is_free(sink):
    code = (
        "import os, sys\n"
        "from nilus.runtime.sinks.databases.duckdb import DuckDBSink\n"
        "from nilus.protocol.job import SinkSpec\n"
        "spec = SinkSpec(address='duckdb:///' + sys.argv[1], display_address='', dataset='raw')\n"
        "DuckDBSink(spec).exclusive().__enter__()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(sink.path)], check=False)
    assert died.returncode == -9
    with sink.exclusive():
        pass


def test_an_error_inside_frees_the_file(sink):
    with pytest.raises(ValueError, match="inside"), sink.exclusive():
        raise ValueError("inside")
    with sink.exclusive():
        pass


def test_a_file_that_is_no_database_is_refused_and_kept(sink):
    sink.path.write_text("hello\n" * 1000)
    with pytest.raises(DestinationError, match="cannot be opened") as caught, sink.exclusive():
        pass
    assert "not a valid DuckDB database file" in caught.value.found
    assert not caught.value.retryable
    assert sink.path.read_text() == "hello\n" * 1000


def test_a_folder_in_the_place_of_the_file_is_refused(sink):
    sink.path.mkdir()
    with pytest.raises(DestinationError, match="cannot be opened"), sink.exclusive():
        pass
