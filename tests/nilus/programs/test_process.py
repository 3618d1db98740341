"""One program: bounded in time and in what it may say, ended with everything it has started."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nilus.programs import process
from nilus.programs.deadline import Deadline

Wait = Callable[..., None]
ENVIRON = {"PATH": os.environ["PATH"]}


def run_python(
    code: str, *arguments: object, seconds: float = 60, environ: Mapping[str, str] = ENVIRON
) -> process.Result:
    command = [sys.executable, "-S", "-c", code, *map(str, arguments)]
    return process.run(command, folder=Path("/"), environ=environ, deadline=Deadline(seconds))


def is_alive(pid_file: Path) -> bool:
    try:
        state = Path(f"/proc/{pid_file.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_what_it_prints_and_how_it_ends_is_known() -> None:
    result = run_python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")

    assert (result.status, result.output, result.errors) == (3, b"out\n", "err\n")
    assert not result.timed_out
    assert not result.flooded


def test_it_has_the_environment_it_is_given_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_SECRET", "x")
    monkeypatch.setenv("LC_ALL", "de_DE")
    code = "import os; print(sorted(os.environ))"

    result = run_python(code, environ={"PATH": os.environ["PATH"], "A": "1"})

    # Python sets LC_CTYPE itself where the locale is C.
    assert set(eval(result.output)) - {"LC_CTYPE"} == {"PATH", "A"}


def test_it_reads_nothing_of_our_standard_input() -> None:
    assert run_python("import sys; print(len(sys.stdin.read()))").output == b"0\n"


def test_its_group_is_ended_at_the_deadline_even_if_it_does_not_want_to(tmp_path: Path, wait_until: Wait) -> None:
    code = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-S", "-c", stubborn])
open(sys.argv[1], "w").write(str(os.getpid()))
open(sys.argv[2], "w").write(str(child.pid))
print("started", flush=True)
time.sleep(600)
"""
    files = (tmp_path / "leader", tmp_path / "child")

    result = run_python(code, *files, seconds=2)

    assert result.timed_out
    assert result.status == -9
    assert result.output == b"started\n"
    for file in files:
        wait_until(lambda file=file: not is_alive(file), f"{file.name} ends", 10)


def test_a_polite_process_is_asked_before_it_is_killed(tmp_path: Path) -> None:
    code = """
import signal, sys, time
def end(*_):
    print("cleaned up", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("started", flush=True)
time.sleep(600)
"""
    result = run_python(code, seconds=2)

    assert result.timed_out
    assert result.output == b"started\ncleaned up\n"


def test_a_helper_that_outlives_it_does_not_hold_us_up(tmp_path: Path, wait_until: Wait) -> None:
    code = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
"""
    result = run_python(code, tmp_path / "child", seconds=60)

    assert (result.status, result.timed_out) == (0, False)
    wait_until(lambda: not is_alive(tmp_path / "child"), "the helper ends", 10)


def test_endless_errors_are_kept_at_both_ends_and_endless_output_ends_it() -> None:
    code = "import sys\nfor n in range(300000): print('line', n, file=sys.stderr)"
    errors = run_python(code).errors
    assert errors.endswith("line 299999\n")
    assert errors.startswith("line 0\n")
    assert len(errors) <= 64 * 2**10 + 5

    flood = run_python("import sys\nwhile True: sys.stdout.write('x' * 2**20)")
    assert flood.flooded
    assert flood.status != 0
    assert len(flood.output) < 66 * 2**20


def test_output_that_is_no_text_is_shown_all_the_same() -> None:
    result = run_python("import sys; sys.stderr.buffer.write(b'a\\xff\\n')")
    assert result.errors == "a\\xff\n"


def test_a_descriptor_it_is_to_keep_open_stays_locked_as_long_as_it_lives(tmp_path: Path) -> None:
    read, write = os.pipe()
    try:
        code = "import os, sys; os.write(int(sys.argv[1]), b'x')"
        command = [sys.executable, "-S", "-c", code, str(write)]
        kept = process.run(command, folder=Path("/"), environ=ENVIRON, deadline=Deadline(60), keep_open=(write,))
        closed = process.run(command, folder=Path("/"), environ=ENVIRON, deadline=Deadline(60))
    finally:
        os.close(write)
    assert kept.status == 0
    assert os.read(read, 10) == b"x"
    assert closed.status != 0
    os.close(read)


def test_a_program_that_cannot_be_started_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process.run([str(tmp_path / "missing")], folder=Path("/"), environ=ENVIRON, deadline=Deadline(10))


def test_a_limit_of_threads_is_an_error_of_starting_and_the_program_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Wait
) -> None:
    pid_file = tmp_path / "pid"

    def no_more(thread: threading.Thread) -> None:
        wait_until(pid_file.exists, "the program runs")
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    with pytest.raises(OSError, match="can't start new thread"):
        run_python(code, pid_file)
    wait_until(lambda: not is_alive(pid_file), "the program is ended")
