"""Every Python, YAML and shell block of every page is checked: names exist, documents parse, commands are ones.

The tutorials' blocks are run, too, by `test_tutorials.py`; those of some pages by the tests of what they are about.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nilus.workflow.models import Workflow

PROJECT = Path(__file__).resolve().parents[3]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SHELL = ("shell", "bash", "sh", "console")
# A language that nobody here checks, and why that is right.
_SHOWN = {
    "text": "output",
    "": "output, or the layout of a file",
    "sql": "",
    "json": "",
    "ini": "",
    "dockerfile": "",
    "mermaid": "a drawing",
}
# Of other people's programs only the name is checked.
_FOREIGN = ("docker", "gcloud", "astro", "helm")
# Not installed here, or the reader's own.
_READERS = ("kubernetes", "shop")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text()
        for found in _BLOCK.finditer(text):
            yield Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])


BLOCKS = list(_blocks())


def of(*languages: str) -> Any:
    return pytest.mark.parametrize("block", [one for one in BLOCKS if one.language in languages], ids=str)


def test_every_block_has_a_language_that_is_checked_or_shown():
    known = {"python", "yaml", "toml", *_SHELL, *_SHOWN}
    assert {str(block): block.language for block in BLOCKS if block.language not in known} == {}


@of("toml")
def test_every_toml_block_is_toml(block):
    assert tomllib.loads(block.text)


@of("python")
def test_what_a_python_block_imports_is_there(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] not in _READERS:
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in _READERS:
                    importlib.import_module(alias.name)


def _callables() -> dict[str, Any]:
    from airflow_provider_nilus.hooks.custom_source import NilusHook, RunOptions, TaskRun
    from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator
    from nilus.repository import Settings

    return {
        "NilusCustomSourceOperator": NilusCustomSourceOperator.__init__,
        "NilusHook": NilusHook.__init__,
        "TaskRun": TaskRun,
        "RunOptions": RunOptions,
        "Settings": Settings,
    }


@of("python")
def test_the_arguments_of_ours_in_a_python_block_are_arguments(block):
    from airflow.sdk import BaseOperator

    known = _callables()
    operators = set(inspect.signature(BaseOperator.__init__).parameters)
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
            names = set(inspect.signature(known[node.func.id]).parameters)
            if node.func.id == "NilusCustomSourceOperator":
                names |= operators
            assert {keyword.arg for keyword in node.keywords if keyword.arg} <= names


_WHOLE = {
    "repo": {"url": "https://git.example.com/data/sources"},
    "source": {"address": "custom://Shop", "options": {"source-table": "orders"}},
    "sink": {"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
}


@of("yaml")
def test_a_yaml_block_is_yaml_and_a_workflow_where_it_looks_like_one(block):
    document = yaml.safe_load(block.text)
    assert document
    if not isinstance(document, dict):
        return
    if document.get("type") in ("workflow", "nilus"):
        assert Workflow.parse(block.text).source.address
    elif document.keys() & _WHOLE.keys():
        assert document.keys() <= _WHOLE.keys()
        assert Workflow.parse({**_WHOLE, **document}).sink.dataset


def commands(text: str) -> list[list[str]]:
    """Return the commands of a line as words: pipes and lists taken apart, redirections and assignments left out."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";|&<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set(";|&"):
            found.append([])
            redirected = False
        elif set(word) <= set("<>&"):
            redirected = True
            if found[-1][-1:] == ["2"]:
                found[-1].pop()
        elif redirected:
            redirected = False
        elif not found[-1] and re.fullmatch(r"\w+=.*", word, re.DOTALL):
            continue
        else:
            found[-1].append(word)
    return [command for command in found if command]


def lines_of(text: str) -> list[list[str]]:
    """Return the commands of a block; a line end inside of quotes does not end one."""
    found, held = [], ""
    for line in text.splitlines():
        held += line
        if held.rstrip().endswith("\\"):
            held = held.rstrip()[:-1] + " "
            continue
        try:
            shlex.split(held, comments=True)
        except ValueError:
            held += "\n"
            continue
        found += commands(held if "\n" in held else _without_comment(held))
        held = ""
    assert not held, f"a quote is left open: {held}"
    return found


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", line)


def _nilus(words: list[str]) -> None:
    import typer.main

    from nilus.authoring.cli import app

    group: Any = typer.main.get_command(app)
    assert words[1] in group.commands, words[1]
    (usage_error,) = typer.BadParameter.__bases__
    try:
        group.commands[words[1]].make_context(words[1], list(words[2:]))
    except usage_error as error:
        raise SystemExit(2) from error


def _nilus_state(words: list[str]) -> None:
    from airflow_provider_nilus.state.commands.definition import parser

    parser().parse_args(words[1:])


def _airflow(words: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    get_parser().parse_args(words[1:])


def _make(words: list[str]) -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for target in words[1:]:
        if "=" not in target:
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def _pip(words: list[str]) -> None:
    assert words[1] == "install"
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words[2:]:
        if named := re.fullmatch(r"(?:\.|airflow-provider-nilus)\[([\w,-]+)\]", word):
            assert set(named[1].split(",")) <= set(extras), word


def _python(words: list[str]) -> None:
    if words[1] == "-c":
        compile(words[2], "<shell block>", "exec")
    elif words[1] == "-m":
        assert importlib.util.find_spec(words[2])
    elif words[1].startswith(("benchmarks/", "dags_examples/", "docs/")):
        assert (PROJECT / words[1]).is_file(), words[1]


_CHECKED = {
    "nilus": _nilus,
    "nilus-state": _nilus_state,
    "airflow": _airflow,
    "make": _make,
    "pip": _pip,
    "python": _python,
    "python3": _python,
    ".venv/bin/python": _python,
}
_BUILTIN = ("cd", "export", "echo", "set", "source")


def _check(words: list[str]) -> None:
    program = words[0]
    if check := _CHECKED.get(program):
        check(words)
    elif "/" in program:
        assert (PROJECT / program).is_file(), program
    elif program not in (*_BUILTIN, *_FOREIGN):
        beside = Path(sys.executable).parent / program
        assert shutil.which(program) or beside.exists(), f"{program} is no program here"


@of(*_SHELL)
def test_every_command_of_a_shell_block_is_one(block):
    if block.text.startswith("#!"):  # a script for another machine
        subprocess.run(["sh", "-n"], input=block.text, text=True, check=True)
        return
    found = lines_of(block.text)
    assert found
    for words in found:
        try:
            _check(words)
        except SystemExit as refused:
            pytest.fail(f"{shlex.join(words)} is refused with status {refused.code}")


def test_a_command_that_is_none_is_found():
    for line in (
        "nilus run custom://Shop --bas-dir source",
        "nilus-state rewind KEY",
        "airflow dags tset shop",
        "make dmeo",
        "pip install '.[lakehose]'",
        "no-such-program",
        "docker/make-nothing",
    ):
        (words,) = lines_of(line)
        with pytest.raises((AssertionError, SystemExit)):
            _check(words)


def test_the_number_of_blocks(capsys):
    """Prints how many blocks there are of each kind; `pytest -s` shows it."""
    counts = {language: sum(block.language == language for block in BLOCKS) for language in ("python", "yaml")}
    counts["shell"] = sum(block.language in _SHELL for block in BLOCKS)
    tutorials = [block for block in BLOCKS if block.page.parent.name == "tutorials"]
    run = sum(block.language == "shell" for block in tutorials)
    with capsys.disabled():
        print(f"\nblocks checked: {counts}; shell blocks of the tutorials run as printed: {run}")
    assert min(*counts.values(), run) >= 10


# Blocks of pages, by the beginning of a line in them, that need what only a reader has.
_NOT_RUN = {
    "settings = Settings(": "a repository's address",
    "catalog = SqlCatalog(": "a lakehouse below /data",
    "from kubernetes.client import": "a library that is not installed here",
}


def test_the_python_blocks_of_pages_run_one_after_the_other(tmp_path, monkeypatch):
    """A page's blocks go on from each other; a tutorial's are files, which `test_tutorials.py` runs.

    Tasks are made in a DAG file, which has the operator's import at its head.
    """
    from airflow.sdk import DAG

    from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

    monkeypatch.chdir(tmp_path)
    ran, left = [], []
    for page in dict.fromkeys(block.page for block in BLOCKS):
        if page.parent.name == "tutorials":
            continue
        module = types.ModuleType("page")
        monkeypatch.setitem(sys.modules, "page", module)
        names = vars(module)
        names["__file__"] = str(tmp_path / "tests" / "test_it.py")
        names["NilusCustomSourceOperator"] = NilusCustomSourceOperator
        for block in (one for one in BLOCKS if one.page == page and one.language == "python"):
            if any(line.startswith(tuple(_NOT_RUN)) for line in block.text.splitlines()):
                left.append(str(block))
                continue
            try:
                with DAG(f"block_{len(ran)}"):
                    exec(compile(block.text, str(block), "exec"), names)
            except Exception as error:
                raise AssertionError(f"{block}: {error!r}") from error
            ran.append(str(block))
    print(f"run: {len(ran)}; not run: {', '.join(left)}")
    assert len(ran) >= 20
    assert len(left) <= len(_NOT_RUN) + 1, left
