"""Every message of every error has its place: state's in docs/state.md, all others in docs/errors.md.

`WRITE_TABLES=1` in the environment writes docs/errors.md anew from what the code says.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from nilus import errors

PROJECT = Path(__file__).resolve().parents[3]
PAGE = PROJECT / "docs" / "errors.md"
TREE = {name: cls for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, errors.NilusError)}
SHOWN = [name for name in TREE if name != "NilusError"]
_FILLED = "…"


@dataclass(frozen=True, order=True)
class Message:
    """What one error says, with … for what a run fills in; `again` is whether another try can help, as text."""

    error: str
    text: str
    expected: str = ""
    remedy: str = ""
    again: str = ""


def _texts(node: ast.expr | None) -> list[str]:
    """Return what an expression can be as text; of what only a run knows, …."""
    if node is None:
        return [""]
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        parts = (str(part.value) if isinstance(part, ast.Constant) else _FILLED for part in node.values)
        return ["".join(parts)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [left + right for left in _texts(node.left) for right in _texts(node.right)]
    return [_FILLED]


def _name(call: ast.Call) -> str:
    function = call.func
    return getattr(function, "id", "") or getattr(function, "attr", "")


def _given(function: ast.FunctionDef, parameter: str, module: ast.Module) -> list[ast.expr]:
    """Return what calls of a function in its module give as one of its parameters."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    names = [name for name in names if name not in ("self", "cls")]
    found = []
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and _name(call) == function.name:
            keywords = {keyword.arg: keyword.value for keyword in call.keywords}
            if parameter in keywords:
                found.append(keywords[parameter])
            elif parameter in names and names.index(parameter) < len(call.args):
                found.append(call.args[names.index(parameter)])
    return found


def _messages_of(call: ast.Call, parents: dict[ast.AST, ast.AST], module: ast.Module) -> Iterator[Message]:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    first = call.args[0]
    candidates = [first]
    if isinstance(first, ast.Name):
        inside: ast.AST = call
        while inside in parents and not isinstance(inside, ast.FunctionDef):
            inside = parents[inside]
        if isinstance(inside, ast.FunctionDef):
            candidates = _given(inside, first.id, module)
    default = "yes" if TREE[_name(call)].default_retryable else "no"
    again = keywords.get("retryable")
    if isinstance(again, ast.Constant):
        default = "yes" if again.value else "no"
    elif again is not None:
        default = "depends on the cause"
    for text in chain.from_iterable(map(_texts, candidates)):
        yield Message(
            _name(call), text, _texts(keywords.get("expected"))[0], _texts(keywords.get("remedy"))[0], default
        )


def collected() -> list[Message]:
    """Return what the code can say, one message a text and class, in order; what is all filled in left out."""
    found: dict[tuple[str, str], Message] = {}
    for place in sorted(chain((PROJECT / "nilus").rglob("*.py"), (PROJECT / "airflow_provider_nilus").rglob("*.py"))):
        module = ast.parse(place.read_text())
        parents = {child: node for node in ast.walk(module) for child in ast.iter_child_nodes(node)}
        for call in ast.walk(module):
            if isinstance(call, ast.Call) and call.args and _name(call) in TREE:
                for message in _messages_of(call, parents, module):
                    if message.text.strip(f"{_FILLED} :,."):
                        found.setdefault((message.error, message.text), message)
    return sorted(found.values())


STATE = set(re.findall(r"^### (.+)$", (PROJECT / "docs" / "state.md").read_text(), re.MULTILINE))
COLLECTED = collected()
HERE = [message for message in COLLECTED if not (message.error.startswith("State") and message.text in STATE)]


def _escaped(text: str) -> str:
    """Return text as Markdown; what is between backticks is code already."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    parts[::2] = [re.sub(r"([*\[\]])", r"\\\1", part.replace("<", "&lt;")) for part in parts[::2]]
    return "".join(parts)


def _sentence(text: str) -> str:
    text = _escaped(text)
    return "see the message" if not text.strip(f"{_FILLED} :,.") else text


def section(message: Message) -> str:
    """Return a message's section."""
    lines = [f"### {_escaped(message.text)}", ""]
    if message.expected:
        lines += [f"Expected: {_sentence(message.expected)}.", ""]
    lines += [f"What to do: {_sentence(message.remedy) if message.remedy else 'see the rest of the message'}.", ""]
    lines += [f"Another try can help: {message.again}."]
    return "\n".join(lines).replace("..\n", ".\n")


def _part(error: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- messages: {error} -->\n\n).*?(\n\n<!-- end of messages -->)", re.DOTALL)


@pytest.mark.parametrize("error", SHOWN)
def test_every_message_has_its_section(error):
    made = "\n\n".join(section(message) for message in HERE if message.error == error)
    page = PAGE.read_text()
    there = _part(error).search(page)
    assert there, f"docs/errors.md has no place for {error}"
    if os.environ.get("WRITE_TABLES") == "1":
        PAGE.write_text(page[: there.end(1)] + (made or "None.") + page[there.start(2) :])
        return
    shown = page[there.end(1) : there.start(2)]
    assert shown == (made or "None."), "an error's text has changed: WRITE_TABLES=1 writes what is true"


def test_every_class_of_the_tree_is_on_the_page():
    assert re.findall(r"^## `(\w+)`$", PAGE.read_text(), re.MULTILINE) == SHOWN


def test_the_messages_are_those_that_are_raised(tmp_path):
    """What is found by reading the code is what comes out of it: three from different corners."""
    from nilus.authoring.scaffold import create
    from nilus.testing import run
    from nilus.workflow.models import Workflow

    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    for cause in (
        lambda: create("9", tmp_path / "new"),
        lambda: create("orders", tmp_path / "there"),
        lambda: run("custom://Shop", base_dir=tmp_path / "missing", database=tmp_path / "x.duckdb"),
        lambda: Workflow.parse("[1, 2]"),
    ):
        with pytest.raises(errors.NilusError) as raised:
            cause()
        said = raised.value.message
        patterns = [
            ".*".join(map(re.escape, message.text.split(_FILLED)))
            for message in HERE
            if message.error == type(raised.value).__name__
        ]
        assert any(re.fullmatch(pattern, said, re.DOTALL) for pattern in patterns), said


def test_no_message_is_left_out():
    assert {message.text for message in COLLECTED} == {message.text for message in HERE} | (
        {message.text for message in COLLECTED if message.text in STATE}
    )
    assert len(HERE) > 150
    assert {message.error for message in HERE} >= set(SHOWN) - {"StateConflict"}


def test_nearly_every_message_says_what_to_do():
    silent = [message.text for message in HERE if not message.remedy]
    assert len(silent) <= len(HERE) / 20, silent
