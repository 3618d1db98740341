"""The site builds without a warning, and its reference says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from documented_table import compare

PROJECT = Path(__file__).resolve().parents[3]
DOCS = PROJECT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built_without_a_warning(site):
    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")} <= built


def test_every_page_is_in_the_navigation():
    text = (PROJECT / "mkdocs.yml").read_text()
    named = re.findall(r"([\w/-]+\.md)$", yaml.safe_dump(yaml.safe_load(text)["nav"], width=1000), re.MULTILINE)
    assert sorted(named) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("operator", ["NilusCustomSourceOperator", "source_env", "expected_commit"]),
        ("hook", ["NilusHook", "TaskRun", "RunOptions"]),
        ("source", ["CustomSource", "CustomDestination", "nilus_source", "handles_incrementality", "nilus_dest"]),
        ("testing", ["run_source", "SourceTests", "may_be_empty"]),
        ("state", ["StateStore", "Record"]),
        ("errors", ["NilusError", "StateConflict", "retryable"]),
    ],
)
def test_the_reference_has_the_public_names(site, page, names):
    text = (site / "reference" / f"{page}.html").read_text()
    for name in names:
        assert name in text, name


def test_no_page_leads_to_a_server_for_its_looks(site):
    """Read without a network: scripts and styles come with the page."""
    for page in ("index.html", "state.html"):
        loaded = re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"(https?:[^\"]+)\"", (site / page).read_text())
        assert loaded == []


def _name_of(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    value = f" {parameter.metavar}" if parameter.metavar else ""
    return ", ".join(f"`{option}{value}`" for option in parameter.opts)


@pytest.mark.parametrize("verb", ["run", "check", "new"])
def test_the_nilus_command_is_described_as_it_helps_itself(verb):
    import typer.main

    from nilus.authoring.cli import app

    command: Any = typer.main.get_command(app)
    rows = [[_name_of(parameter), parameter.help.replace("<", "&lt;")] for parameter in command.commands[verb].params]
    assert all(help_ for _, help_ in rows)
    compare("reference/commands.md", f"nilus {verb}", ["argument", "meaning"], rows)


def test_every_verb_of_the_nilus_command_is_described():
    import typer.main

    from nilus.authoring.cli import app

    command: Any = typer.main.get_command(app)
    page = (DOCS / "reference" / "commands.md").read_text()
    assert re.findall(r"^### `nilus (\w+)`$", page, re.MULTILINE) == list(command.commands)


def test_nilus_state_is_described_as_it_helps_itself():
    from airflow_provider_nilus.state.commands.definition import verbs

    rows = []
    for verb in verbs():
        flags = [arg.flags for arg in verb.args]
        arguments = " ".join(f"`{'`, `'.join(names)}`" for names in flags)
        rows.append([f"`{verb.name}`", verb.help, arguments])
    compare("reference/commands.md", "nilus-state", ["verb", "meaning", "arguments"], rows)
