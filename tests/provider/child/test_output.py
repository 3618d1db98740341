"""A child's output as it arrives in the task's log."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nilus.child import output
from airflow_provider_nilus.child.output import LINE_LIMIT, Line, Lines, OutputStream, TaskLog, clean

SOURCE = "nilus.source"


def test_records_keep_level_and_logger_and_print_is_info_in_the_order_it_was_said(child, log):
    child("speaks").run()
    assert log.lines == [
        ("INFO", SOURCE, "one"),
        ("WARNING", "shop.orders", "two"),
        ("INFO", SOURCE, "three"),
        ("INFO", "shop.orders", "four"),
        ("INFO", SOURCE, "five"),
        ("ERROR", "shop.orders", "six\nand a half"),
        ("INFO", SOURCE, "seven"),
        ("CRITICAL", "shop.orders", "eight %d"),
    ]


def test_a_record_keeps_the_place_it_was_logged_at(child, log):
    child("speaks").run()
    record = log.records[1]
    assert record.pathname.endswith("child_code.py")
    assert "two" in Path(record.pathname).read_text().splitlines()[record.lineno - 1]


def test_the_job_s_log_level_decides_what_is_logged(child, log, make_job, work_dir):
    child("speaks", job=make_job(work_dir, log_level="DEBUG")).run()
    assert ("DEBUG", "shop", "below the level") in log.lines
    log.lines.clear()
    child("speaks", job=make_job(work_dir, log_level="ERROR")).run()
    assert {level for level, name, _ in log.lines if name == "shop.orders"} == {"ERROR", "CRITICAL"}


def test_an_exception_is_logged_as_one_record_with_its_traceback(child, log):
    child("logs_an_exception").run()
    ((level, name, text),) = log.lines
    assert (level, name) == ("ERROR", "shop")
    assert text.startswith("division\nTraceback (most recent call last):\n")
    assert text.endswith("ZeroDivisionError: division by zero")


def test_basic_config_loses_no_level_or_logger_and_doubles_no_line(child, log, make_job, work_dir):
    child("basic_config", job=make_job(work_dir, log_level="DEBUG")).run()
    assert log.lines == [
        ("DEBUG", "shop.orders", "a detail"),
        ("WARNING", "shop.orders", "a warning"),
        ("INFO", "shop.orders", "a message"),
        ("INFO", "shop.orders", "another message"),
        ("INFO", "shop.orders", "for the file"),
    ]
    assert (work_dir / "source.log").read_text() == "for the file\n"


def test_a_handler_the_source_attaches_itself_writes_lines_as_it_likes(child, log):
    child("own_handler").run()
    assert log.lines == [("WARNING", SOURCE, "[WARNING] mine: hello")]


def test_warnings_are_warnings(child, log):
    child("warns").run()
    ((level, name, text),) = log.lines
    assert (level, name) == ("WARNING", "py.warnings")
    assert "UserWarning: old spelling" in text


def test_the_failure_of_a_thread_is_an_error_record(child, log):
    child("thread_fails").run()
    ((level, name, text),) = log.lines
    assert (level, name) == ("ERROR", SOURCE)
    assert text.startswith("Thread reader failed\nTraceback")
    assert text.endswith("ValueError: in a thread")


def test_lines_on_standard_error_are_info_unless_they_tell_their_level(child, log):
    child("writes_to_stderr").run()
    assert log.lines == [
        ("INFO", SOURCE, "plain"),
        ("WARNING", "other.tool", "careful: now"),
        ("ERROR", SOURCE, "[ERROR] wrong"),
        ("ERROR", SOURCE, "2026-01-02 03:04:05,678 ERROR late"),
        ("DEBUG", SOURCE, "2026-01-02T03:04:05.678Z | DEBUG | fine"),
        ("INFO", SOURCE, "ERRORS are what this line is about"),
        ("ERROR", SOURCE, "Traceback (most recent call last):"),
        ("ERROR", SOURCE, '  File "x.py", line 1, in <module>'),
        ("ERROR", SOURCE, "    1/0"),
        ("ERROR", SOURCE, "ZeroDivisionError: division by zero"),
        ("INFO", SOURCE, "plain again"),
    ]


def test_the_traceback_of_a_process_the_source_started_is_an_error(child, log):
    child("grandchild_fails").run()
    assert {level for level, _, _ in log.lines} == {"ERROR"}
    assert log.lines[-1][2] == "ZeroDivisionError: division by zero"


def test_output_that_is_not_utf_8_is_escaped(child, log):
    child("not_utf_8").run()
    assert log.texts() == ["caf\\xe9 \\xff", "déjà vu", "half a pair \\udc80"]
    assert log.texts("shop") == ["half a pair \\udc80"]


def test_a_progress_bar_is_its_last_state(child, log):
    child("draws_progress").run()
    states = log.texts()
    assert f"100%|{'#' * 100}" in states
    assert "dos line" in states
    assert len(states) <= 4  # the first state, the last, the other line; one more if the child was slow


def test_escape_sequences_and_control_characters_do_no_harm(child, log):
    child("sends_escapes").run()
    assert log.texts() == ["red and\\x00nul bell \\x1b]unfinished"]
    assert log.texts("shop") == ["bold\\x00\ttab\nnext"]


def test_dlt_s_own_logger_keeps_its_level_and_name(child, log):
    child("dlt_logs").run()
    assert log.lines == [("WARNING", "dlt", "from dlt")]


def test_levels_airflow_does_not_know_are_rounded_down_to_one_it_knows(child, log):
    child("odd_levels").run()
    assert log.lines == [("INFO", "shop", "notice"), ("CRITICAL", "shop", "above all")]


def test_threads_that_log_and_print_at_once_do_not_tear_each_other_s_records(child, log):
    child("logs_from_all_threads").run()
    for number in range(4):
        texts = log.texts(f"thread{number}")
        assert texts == [f"{count} {'x' * 6000}" for count in range(200)]
        printed = [text for text in log.texts() if text.startswith(f"printed by {number} ")]
        assert printed == [f"printed by {number} {count}" for count in range(200)]


def test_a_line_of_50_mb_is_cut_and_says_by_how_much(child, log):
    child("one_line_of_50_mb").run()
    cut, after = log.texts()
    assert cut == f"{'x' * LINE_LIMIT} [… {50_000_000 - LINE_LIMIT:,} bytes left out]"
    assert after == "after"


def test_a_message_of_50_mb_keeps_its_level_and_is_cut(child, log):
    child("message_of_50_mb").run()
    ((level, name, text),) = log.lines
    assert (level, name) == ("WARNING", "shop")
    assert text.startswith("begin yyyy")
    assert len(text) < LINE_LIMIT + 100


@pytest.mark.parametrize("entry", ["output_of_100_mb", "one_line_of_50_mb", "message_of_50_mb"])
def test_the_worker_does_not_grow_with_the_output(parent, entry):
    grown = int(parent("measured", entry).output().split("grown ")[1])
    assert grown < 30 << 20


def test_all_of_100_mb_arrives(child, log):
    child("output_of_100_mb").run()
    assert sum(text == "z" * 499 for text in log.texts()) == 100_000


def test_a_secret_the_cut_goes_through_is_masked(child, log):
    child("secret_at_the_cut", mask=lambda text: text.replace("hunter2-hunter2", "***")).run()
    (text,) = log.texts()
    assert "hunter" not in text
    assert "***" in text


def test_airflow_s_task_log_has_level_and_logger(job_file, tmp_path, trace):
    """Through the handlers Airflow itself sets up in a task's process, which write JSON."""
    script = "\n".join(
        (
            "import io, logging, sys",
            "sys.argv = ['', 'plain', 'speaks', *sys.argv[1:]]",
            "import runpy",
            "parent = runpy.run_path(sys.argv.pop(), run_name='parent')",
            "from airflow.sdk.log import configure_logging",
            "out = io.BytesIO()",
            "configure_logging(json_output=True, output=out, sending_to_supervisor=True)",
            "logging.getLogger('shop.orders').setLevel(logging.CRITICAL)",
            "child = parent['make']('speaks', __import__('pathlib').Path(sys.argv[3]), sys.argv[4])",
            "child._log._logger = logging.getLogger('airflow_provider_nilus')",
            "child.run()",
            "print(out.getvalue().decode())",
        )
    )
    command = [sys.executable, "-c", script, str(job_file), trace.name, str(Path(__file__).parent / "parent_script.py")]
    environ = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    told = [(line["level"], line["logger"], line["event"]) for line in lines if "nilus_" not in line["logger"]]
    assert told[:4] == [
        ("info", SOURCE, "one"),
        ("warning", "shop.orders", "two"),
        ("info", SOURCE, "three"),
        ("info", "shop.orders", "four"),
    ]
    assert ("error", "shop.orders", "six\nand a half") in told


# --- without a process -------------------------------------------------------------------------------------------


def cut(data: bytes, sizes: list[int]) -> list[Line]:
    lines, found = Lines(b"\x1eframe"), []
    for size in sizes:
        found += lines.feed(data[:size])
        data = data[size:]
    return [*found, *lines.feed(data), *lines.close()]


@given(st.text("ab\r\n", max_size=60).map(str.encode), st.lists(st.integers(1, 9), max_size=20))
def test_lines_do_not_depend_on_how_the_bytes_are_cut(data, sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "PROGRESS_SECONDS", 1e12)
        assert cut(data, sizes) == cut(data, [])


def test_a_progress_bar_shows_its_state_now_and_then(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lines = Lines()
    shown = []
    for percent in range(60):
        now[0] += 0.5
        shown += [line.data.decode() for line in lines.feed(f"\r{percent}%".encode())]
    assert shown == ["0%", "10%", "20%", "30%", "40%", "50%"]


def test_an_endless_line_does_not_grow():
    lines = Lines()
    for _ in range(1000):
        assert list(lines.feed(b"x" * 65_536)) == []
    (line,) = lines.feed(b"\n")
    assert len(line.data) + line.left_out == 65_536_000
    assert len(line.data) < 80_000


def test_a_character_the_cut_goes_through_is_left_out_whole():
    logger, seen = logging.Logger("x"), []
    logger.addFilter(lambda record: seen.append(record.getMessage()) or False)
    stream = OutputStream(TaskLog(logger, str), b"\x1eframe", is_error=False)
    data = "€".encode() * 100_000 + b"\n"
    stream.feed(data)
    (text,) = seen
    kept, _, note = text.partition(" [… ")
    assert set(kept) == {"€"}
    assert int(note.split()[0].replace(",", "")) + len(kept.encode()) in range(len(data) - 4, len(data))


def test_no_part_of_a_secret_is_shown_where_a_line_full_of_secrets_is_cut():
    secret = "Xk7second-WqZ8first-Qx9thirdpart"
    logger, seen = logging.Logger("x"), []
    logger.addFilter(lambda record: seen.append(record.getMessage()) or False)
    stream = OutputStream(TaskLog(logger, lambda text: text.replace(secret, "***")), b"\x1eframe", is_error=False)
    stream.feed(f"{secret},".encode() * 10_000 + b"\n")
    (text,) = seen
    assert set(text.partition(" [… ")[0]) == {"*", ","}


def test_a_torn_frame_is_shown_as_it_came():
    logger, seen = logging.Logger("x"), []
    logger.addFilter(lambda record: seen.append((record.levelname, record.getMessage())) or False)
    stream = OutputStream(TaskLog(logger, str), b"\x1eframe", is_error=False)
    stream.feed(b'\n\x1eframe{"level": 30, "logg\n\n\n\x1eframe[]\nnext\n')
    assert seen == [("INFO", '\\x1eframe{"level": 30, "logg'), ("INFO", ""), ("INFO", "\\x1eframe[]"), ("INFO", "next")]


@given(st.text())
def test_clean_text_can_be_written_anywhere(text):
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert not any(ord(character) < 32 and character not in "\t\n" for character in cleaned)
    assert clean(cleaned) == cleaned
