"""Each name that is counted on of dlt, pyiceberg and Airflow, and is not public, is as it was when it was read."""

from __future__ import annotations

import ast
import dis
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fresh_process import lines_of
from private_names import EXCEPTIONS, INTERNALS, ROOT, SUBCLASSES

_TABLE = ROOT / "tests" / "internals.txt"


class _Row(NamedTuple):
    module: str
    name: str
    expected: str

    @property
    def attribute(self) -> str:
        return self.name.rpartition(":")[2].rpartition(".")[2]


def _rows() -> Iterator[_Row]:
    module = ""
    for line in _TABLE.read_text().splitlines():
        if line.startswith("  "):
            name, _, expected = line.strip().partition("  ")
            yield _Row(module, name, expected)
        elif not line.startswith("#"):
            module = line


_ROWS = list(_rows())


def _differs(name: str, expected: str) -> str:
    """Return what is found in the place of what is expected of a name; an empty text if that is there."""
    home, _, path = name.partition(":")
    try:
        owner: Any = importlib.import_module(home)
        *parents, last = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
    except (ImportError, AttributeError) as error:
        return str(error)
    if expected == "set":
        return "" if last in _set_by(owner) else "a class that sets no such attribute"
    if expected == "annotated":
        return "" if last in inspect.get_annotations(owner) else "no such annotation"
    if not hasattr(owner, last):
        return "nothing"
    return "" if expected == "there" else _other_signature(getattr(owner, last), expected)


def _set_by(kind: type) -> set[str]:
    """Return the attributes that the methods of a class and of its bases set."""
    found = set()
    for value in (value for base in kind.__mro__ for value in vars(base).values()):
        code = getattr(inspect.unwrap(getattr(value, "__func__", value)), "__code__", None)
        if code is not None:
            found |= {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_ATTR"}
    return found


def _other_signature(function: Any, expected: str) -> str:
    wanted = [name for name in expected.strip("()").split(", ") if name]
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        return str(error)
    if wanted[-1:] == ["..."]:
        required = [name for name, one in parameters.items() if one.default is one.empty and one.kind < one.VAR_KEYWORD]
        required = [name for name in required if parameters[name].kind != inspect.Parameter.VAR_POSITIONAL]
        fits = set(wanted[:-1]) <= set(parameters) and set(required) <= set(wanted)
    else:
        fits = wanted == list(parameters)
    return "" if fits else f"({', '.join(parameters)})"


def _users(row: _Row) -> str:
    """Return the functions and classes of a module of ours in which the last part of a name stands."""
    tree = ast.parse((ROOT / row.module).read_text())
    return ", ".join(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and row.attribute in ast.unparse(node)
    )


def differences() -> list[str]:
    """Return what is not as the table has it."""
    return [
        f"{row.name}: expected {row.expected}, found {found}; for {row.module}: {_users(row)}"
        for row in _ROWS
        if (found := _differs(row.name, row.expected))
    ]


def test_every_name_that_is_counted_on_is_as_it_was_read() -> None:
    other = lines_of("test_internals:differences()")
    assert not other, "\n" + "\n".join(other)


def test_every_row_is_of_a_module_that_has_the_name() -> None:
    unused = [f"{row.module}: {row.name}" for row in _ROWS if row.attribute not in (ROOT / row.module).read_text()]
    assert unused == []


def test_every_private_name_of_the_internals_has_a_row() -> None:
    known: dict[str, set[str]] = {}
    for row in _ROWS:
        known.setdefault(row.module, set()).add(row.attribute)
    missing = []
    for path in (path for package in ("nilus", "airflow_provider_nilus") for path in (ROOT / package).rglob("*.py")):
        module = str(path.relative_to(ROOT))
        if module.startswith(INTERNALS) or module in EXCEPTIONS:
            missing += [f"{module}: {name}" for name in sorted(_private(path) - known.get(module, set()))]
    of_subclasses = {row.attribute for row in _ROWS}
    missing += [f"{path}: {name}" for path, names in SUBCLASSES.items() for name in sorted(names - of_subclasses)]
    assert not missing, "Add them to tests/internals.txt:\n" + "\n".join(missing)


def _private(path: Path) -> set[str]:
    """Return the private names that a module uses of other objects than its own, and imports."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id == "self" and path.name == "hints.py")
    }
    used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    # A tuple's own: `typing.NamedTuple` has it in public.
    return {name for name in used - defined - {"_replace"} if name.startswith("_") and not name.startswith("__")}


@pytest.mark.parametrize(
    ("name", "expected", "found"),
    [
        ("dlt.extract.pipe:Pipe.replace_gen", "(self, other)", "(self, gen)"),
        ("dlt.extract.pipe:Pipe.gone", "there", "nothing"),
        ("dlt.extract.pipe:Pipe._gone", "set", "a class that sets no such attribute"),
        ("dlt.extract.pipe:Gone.gen", "there", "module 'dlt.extract.pipe' has no attribute 'Gone'"),
        ("pyiceberg.gone:thing", "there", "No module named 'pyiceberg.gone'"),
        ("dlt.extract.pipe:Pipe.from_data", "(name, ...)", "(name, gen, parent)"),
    ],
)
def test_a_name_that_has_changed_is_told(name: str, expected: str, found: str) -> None:
    assert _differs(name, expected) == found
