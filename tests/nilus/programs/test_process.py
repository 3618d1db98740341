"""One git process: bounded in time and in what it may say, ended with everything it has started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nilus.errors import RepositoryError
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


def test_its_command_line_holds_names_of_variables_and_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_SECRET", "a-secret-of-the-worker")
    given = ENVIRON | {"GIVEN": "a-secret-that-is-given"}

    command = process._without_our_environment(given)

    assert "WORKER_SECRET" in command
    assert "GIVEN" not in command
    assert not any("a-secret" in argument for argument in command)


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


def test_endless_errors_are_kept_at_their_end_and_endless_output_ends_it() -> None:
    code = "import sys\nfor n in range(300000): print('line', n, file=sys.stderr)"
    errors = run_python(code).errors
    assert errors.endswith("line 299999\n")
    assert len(errors) <= 64 * 2**10

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


def test_a_program_that_is_not_there_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match="no git"):
        process.find_git()
    with pytest.raises(RepositoryError, match="no env"):
        process.run(["git"], folder=Path("/"), environ=ENVIRON, deadline=Deadline(10))


@pytest.mark.parametrize("value", ["error", "nonsense"])
def test_gitpython_that_cannot_be_imported_is_an_error_with_a_remedy(value: str, tmp_path: Path) -> None:
    code = """
from pathlib import Path
from nilus.errors import RepositoryError
from nilus.repository import Settings, checkout
try:
    checkout("https://localhost/repo", settings=Settings(cache_dir=Path("/nowhere"), cache_max_bytes=1))
except RepositoryError as error:
    print(error)
"""
    environ = os.environ | {"GIT_PYTHON_REFRESH": value, "GIT_PYTHON_GIT_EXECUTABLE": str(tmp_path / "missing")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert "GitPython does not find git" in done.stdout
    assert "GIT_PYTHON_GIT_EXECUTABLE" in done.stdout


def test_running_git_writes_nothing_into_our_environment() -> None:
    before = dict(os.environ)
    git = shutil.which("git")
    assert git is not None
    assert process.run([git, "version"], folder=Path("/"), environ=ENVIRON, deadline=Deadline(60)).status == 0
    assert dict(os.environ) == before
