"""Every message of state has its section in docs/state.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[4]
PACKAGE_STORE = PROJECT / "airflow_provider_nilus" / "state" / "package_store.py"
PLACES = [
    *(PROJECT / "nilus" / "runtime" / "recovery" / f"{name}.py" for name in ("settle", "adoption", "fence")),
    PROJECT / "nilus" / "runtime" / "recovery" / "stored_packages.py",
    PROJECT / "nilus" / "runtime" / "rows" / "reading" / "decision.py",
    # The package store's messages are on the page of errors: they are about its files, not about the state.
    *sorted(set((PROJECT / "airflow_provider_nilus" / "state").rglob("*.py")) - {PACKAGE_STORE}),
]
ERRORS = {"StateError", "StateConflict"}


def messages() -> set[str]:
    """Return what every `StateError` and `StateConflict` says, with … for what a run fills in."""
    return {
        _text(call.args[0])
        for place in PLACES
        for call in ast.walk(ast.parse(place.read_text()))
        if isinstance(call, ast.Call) and _name(call.func) in ERRORS and call.args
    } - {"…"}


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""


def _text(argument: ast.expr) -> str:
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    if isinstance(argument, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in argument.values)
    return "…"


PAGE = (PROJECT / "docs" / "state.md").read_text()
SECTIONS = set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE))


@pytest.mark.parametrize("message", sorted(messages()))
def test_every_message_has_its_section(message):
    assert message in SECTIONS


def test_every_section_is_about_a_message():
    assert messages() == SECTIONS


def test_every_command_on_the_page_is_one():
    import shlex

    from airflow_provider_nilus.state.commands.definition import parser

    shown = [*re.findall(r"`(nilus-state [a-z][^`]*)`", PAGE), *re.findall(r"^nilus-state .+$", PAGE, re.MULTILINE)]
    commands = [" ".join(one.partition(">")[0].split()) for one in shown if "<" not in one]
    whole = [command for command in commands if len(command.split()) > 2]
    assert len(whole) > 8
    for command in whole:
        parser().parse_args(shlex.split(command.replace("VERSION", "1"))[1:])
