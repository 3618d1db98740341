"""The two commands, as far as they can be tried without installing everything again."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def bare(checkout: Path, tmp_path: Path) -> Path:
    """A folder with nothing but the Makefile and what `make install` reads."""
    for name in ("Makefile", "pyproject.toml", "requirements/dev.txt", "airflow_provider_nilus/__init__.py"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(checkout / name, target)
    return tmp_path


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{text}\n")
    path.chmod(0o755)
    return path


def _make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make
    env = {**os.environ, "PATH": os.environ["PATH"] if path is None else path}
    env.pop("MAKEFLAGS", None)
    return subprocess.run([make, *arguments], cwd=folder, env=env, capture_output=True, text=True)


def test_ci_runs_make_test_and_nothing_else(checkout: Path) -> None:
    script = checkout / ".ci" / "run"
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "make test"]
    assert script.stat().st_mode & stat.S_IXUSR


def test_what_runs_before_a_commit_is_what_lint_runs(checkout: Path) -> None:
    config = yaml.safe_load((checkout / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    modules = {tuple(hook["entry"].split()[:3]) for hook in hooks}
    makefile = (checkout / "Makefile").read_text()
    recipe = makefile.partition("\nlint: install\n")[2].partition("\n\n")[0].splitlines()
    assert modules == {(".venv/bin/python", *line.split()[1:3]) for line in recipe}


def test_an_interpreter_that_is_too_old_is_named_with_its_version(bare: Path) -> None:
    old = _script(bare / "bin" / "python3.9", '[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1')
    run = _make(bare, "install", f"PYTHON={old}")
    assert run.returncode != 0
    assert f"Expected Python 3.11 or newer, found: Python 3.9.2 ({old})" in run.stderr
    assert not (bare / ".venv").exists()


def test_no_interpreter_at_all_says_how_to_name_one(bare: Path) -> None:
    tools = bare / "bin"
    tools.mkdir()
    for name in ("bash", "touch", "grep", "cut"):
        (tools / name).symlink_to(shutil.which(name) or "")
    run = _make(bare, "install", path=str(tools))
    assert run.returncode != 0
    assert "make install PYTHON=/path/to/python3" in run.stderr


def test_an_interpreter_without_venv_says_which_package_brings_it(bare: Path) -> None:
    python = _script(bare / "bin" / "python3.11", 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    run = _make(bare, "install", f"PYTHON={python}")
    assert run.returncode != 0
    assert "apt-get install python3-venv" in run.stderr


def test_nothing_is_done_when_nothing_has_changed(bare: Path) -> None:
    python = bare / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    stamp = bare / ".venv" / ".installed"
    stamp.touch()
    assert _make(bare, "--question", "install").returncode == 0
    pins = bare / "requirements" / "dev.txt"
    later = stamp.stat().st_mtime + 10
    os.utime(pins, (later, later))
    assert _make(bare, "--question", "install").returncode == 1


def test_every_command_but_clean_installs_first(checkout: Path) -> None:
    for target in ("demo", "test", "coverage", "soak", "lint", "format", "bench", "pins"):
        run = _make(checkout, "--dry-run", "--always-make", target)
        assert run.returncode == 0, run.stderr
        assert "uv pip sync" in run.stdout, target
    assert "uv pip sync" not in _make(checkout, "--dry-run", "clean").stdout


def test_tests_run_where_system_packages_cannot_be_installed(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "id", "env"):
        (tools / name).symlink_to(shutil.which(name) or "")
    script = checkout / "requirements" / "system-packages"
    run = subprocess.run([str(tools / "bash"), str(script)], env={"PATH": str(tools)}, capture_output=True, text=True)
    assert run.returncode == 0
    assert "NOT INSTALLED" in run.stderr
    assert "docker-compose" in run.stderr
    assert "no apt-get" in run.stderr
