"""What a killed run leaves of its rows is gone with the next run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_nilus.task.work_folder import sweep, work_folder

HOLDS = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from airflow_provider_nilus.task.work_folder import work_folder
with work_folder() as path:
    (path / "rows.jsonl").write_text("in clear")
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another worker that is in the middle of a run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()


def test_a_folder_is_private_and_gone_afterwards(place: Path) -> None:
    with work_folder() as path:
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "rows").write_text("x")
    assert list(place.iterdir()) == []


def test_what_a_killed_run_has_left_is_swept_and_a_living_ones_folder_is_not(
    place: Path, other: tuple[subprocess.Popen[str], Path]
) -> None:
    process, path = other
    with work_folder():
        assert (path / "rows.jsonl").exists()
    process.kill()
    process.wait()
    assert (path / "rows.jsonl").exists()
    with work_folder() as own:
        assert list(place.iterdir()) == [own]


@pytest.mark.parametrize("kind", ["file", "link", "another name"])
def test_nothing_else_is_swept(place: Path, kind: str) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "kept").write_text("x")
    if kind == "file":
        (place / "nilus-run-file").write_text("x")
    elif kind == "link":
        (place / "nilus-run-link").symlink_to(place / "elsewhere")
    else:
        (place / "nilus-x").mkdir()
    before = sorted(place.rglob("*"))
    sweep()
    assert sorted(place.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="MISSING: root, to make a folder of another user's")
def test_another_users_folder_is_left_alone(place: Path) -> None:
    (place / "nilus-run-x").mkdir()
    os.chown(place / "nilus-run-x", 12345, 12345)
    sweep()
    assert (place / "nilus-run-x").exists()
