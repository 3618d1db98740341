"""The tutorials are followed: their files are written, their commands run as they are printed, in one shell each.

A block under a line that ends in `` `name`: `` is the file of that name. A `shell` block is run. A `text` block after
it is what it prints, line by line; other lines may come between. `bash` blocks need a server and are only checked.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from airflow_fixture import load_dags

from nilus.workflow.models import Workflow

TUTORIALS = sorted((Path(__file__).resolve().parents[3] / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"(?:`(?P<file>[\w./-]+)`:\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_NEEDS_AIRFLOW = ("first-dag", "from-python-operator", "from-pipeline-tasks-group")
# Its commands are those of `from-python-operator`, which is followed in every run.
_SOAK = ("from-pipeline-tasks-group",)
_SECONDS = 580


@dataclass(frozen=True)
class Block:
    """A block of a tutorial; `file` is empty where it is none."""

    file: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(found["file"] or "", found["language"], found["text"]) for found in _BLOCK.finditer(page.read_text())]


def script(page: Path) -> str:
    """Return a shell script that does what the tutorial says."""
    lines = ["set -euo pipefail"]
    for number, block in enumerate(blocks(page)):
        if block.file:
            lines += [
                f"mkdir -p {shlex.quote(str(Path(block.file).parent))}",
                f"cat > {shlex.quote(block.file)} <<'END OF FILE'",
                block.text.rstrip("\n"),
                "END OF FILE",
            ]
        elif block.language == "shell":
            lines += [f"echo '== block {number}'", block.text]
    return "\n".join(lines)


def follow(page: Path, folder: Path) -> dict[int, str]:
    """Follow a tutorial in a folder and return what each of its shell blocks printed."""
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
        "GIT_AUTHOR_NAME": "Reader",
        "GIT_AUTHOR_EMAIL": "reader@example.com",
        "GIT_COMMITTER_NAME": "Reader",
        "GIT_COMMITTER_EMAIL": "reader@example.com",
    }
    done = subprocess.run(
        ["bash", "-c", script(page)],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    logs = "".join(f"\n--- {log}\n{log.read_text()[-3000:]}" for log in folder.rglob("*.log") if log.is_file())
    assert done.returncode == 0, done.stdout + logs
    parts = re.split(r"^== block (\d+)$", done.stdout, flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.timeout(_SECONDS + 20)
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.soak] * (page.stem in _SOAK), id=page.stem) for page in TUTORIALS],
)
def test_the_tutorial_can_be_followed(page, tmp_path, request):
    if page.stem in _NEEDS_AIRFLOW:
        request.getfixturevalue("airflow_db")
    printed = follow(page, tmp_path)
    assert printed
    shown = 0
    for number, block in enumerate(blocks(page)):
        if block.language == "text":
            shown += 1
            lines = [line.strip() for line in printed[number - 1].splitlines()]
            for line in block.text.splitlines():
                assert any(line.strip() in one for one in lines), f"{line!r} is not in\n{printed[number - 1]}"
    assert shown == sum(block.language == "text" for block in blocks(page))


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_workflow_of_the_tutorial_is_one(page):
    for block in blocks(page):
        if block.language == "yaml" and block.file:
            assert Workflow.parse(block.text).source.address.startswith("custom://")


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_dag_of_the_tutorial_is_one(page, tmp_path, airflow_db):
    for block in blocks(page):
        if block.file.startswith("dags/") and block.language == "python":
            file = tmp_path / Path(block.file).name
            file.write_text(block.text)
            (dag,) = load_dags(file).values()
            assert all(task.task_type == "NilusCustomSourceOperator" for task in dag.tasks)


def test_there_is_a_tutorial_for_each_way_in():
    assert {page.stem for page in TUTORIALS} == {
        "backfill",
        "first-dag",
        "from-dataos",
        "from-pipeline-tasks-group",
        "from-python-operator",
        "incremental",
        "lakehouse",
        "source-from-nothing",
    }
