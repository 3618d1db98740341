"""GitPython is used for its command layer alone: docs/decisions/0008-gitpython-floor.md rests on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# What starts a command; and, for `nilus run`, the commit of the author's own folder.
COMMANDS = {"git.cmd.Git", "git.exc.GitCommandError", "git.exc.GitCommandNotFound"}
OWN_FOLDER = {("nilus/authoring/local_run.py", name) for name in ("git.InvalidGitRepositoryError", "git.Repo")}


def _imports() -> Iterator[tuple[str, str]]:
    for package in ("nilus", "airflow_provider_nilus"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                for name in names:
                    if name.split(".")[0] == "git":
                        yield str(path.relative_to(ROOT)), name


def test_no_api_of_gitpython_is_used_to_which_a_published_weakness_applies():
    found = set(_imports())

    assert "git.cmd.Git" in {name for _, name in found}
    assert not {(path, name) for path, name in found - OWN_FOLDER if name not in COMMANDS}
