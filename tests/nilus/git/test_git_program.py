"""The program git as GitPython starts it: with nothing of the worker's environment, and clear errors without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nilus.errors import RepositoryError
from nilus.git import program
from nilus.programs.deadline import Deadline

ENVIRON = {"PATH": os.environ["PATH"]}


def test_it_has_the_environment_it_is_given_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_SECRET", "x")
    monkeypatch.setenv("LC_ALL", "de_DE")
    command = [sys.executable, "-S", "-c", "import os; print(sorted(os.environ))"]

    result = program.run(command, folder=Path("/"), environ=ENVIRON | {"A": "1"}, deadline=Deadline(60))

    # Python sets LC_CTYPE itself where the locale is C.
    assert set(eval(result.output)) - {"LC_CTYPE"} == {"PATH", "A"}


def test_too_much_for_the_system_to_start_is_not_told_as_a_missing_git() -> None:
    environ = ENVIRON | {f"V{number}": "x" * 100_000 for number in range(60)}
    with pytest.raises(RepositoryError, match="could not be started") as caught:
        program.run(["git", "version"], folder=Path("/"), environ=environ, deadline=Deadline(60))
    assert "apt-get install git" not in caught.value.remedy


def test_its_command_line_holds_names_of_variables_and_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_SECRET", "a-secret-of-the-worker")
    given = ENVIRON | {"GIVEN": "a-secret-that-is-given"}

    command = program._without_our_environment(given)

    assert "WORKER_SECRET" in command
    assert "GIVEN" not in command
    assert not any("a-secret" in argument for argument in command)


def test_a_program_that_is_not_there_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match="no git"):
        program.find_git()
    with pytest.raises(RepositoryError, match="no env"):
        program.run(["git"], folder=Path("/"), environ=ENVIRON, deadline=Deadline(10))


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
    assert program.run([git, "version"], folder=Path("/"), environ=ENVIRON, deadline=Deadline(60)).status == 0
    assert dict(os.environ) == before
