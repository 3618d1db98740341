"""What is not public API of dlt, pyiceberg and Airflow is touched in the internals alone, and in subclasses."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("nilus", "airflow_provider_nilus")
_FOREIGN = ("dlt", "pyiceberg", "airflow")

INTERNALS = (
    "nilus/runtime/engine/internals/",
    "nilus/runtime/sinks/lakehouse/internals.py",
    "airflow_provider_nilus/task/internals.py",
)

MACHINERY = (
    "dlt.extract.decorators",
    "dlt.extract.extract",
    "dlt.extract.extractors",
    "dlt.extract.hints",
    "dlt.extract.incremental.context",
    "dlt.extract.items",
    "dlt.extract.items_transform",
    "dlt.extract.pipe",
    "dlt.extract.pipe_iterator",
    "dlt.extract.reference",
    "dlt.extract.state",
    "dlt.extract.storage",
    "dlt.extract.utils",
    "dlt.extract.wrappers",
    "dlt.normalize",
    "dlt.load",
    "dlt.pipeline.state_sync",
    "dlt.common.data_writers",
    "dlt.common.normalizers.json",
    "dlt.common.normalizers.utils",
    "dlt.common.runtime.collector_base",
    "dlt.common.versioned_state",
    "pyiceberg.utils",
    "airflow.models",
    "airflow.sdk.execution_time",
    "airflow.utils",
)
"""Modules in which nothing is public API, whatever its name; exceptions are, wherever they stand."""

EXCEPTIONS = {
    "nilus/class_resource.py": "authors import it, maybe without nilus.runtime: it binds methods by dlt's pipes",
}
"""Modules that touch what they need of it themselves."""

SUBCLASSES = {
    "airflow_provider_nilus/operators/custom_source.py": {"_do_render_template_fields"},
    "nilus/runtime/columns/arrow_tables.py": {"_get_dynamic_table_name"},
    "nilus/runtime/columns/chunk_files.py": {"_caps", "_create_writer", "_f"},
    "nilus/runtime/columns/column_normalizer.py": {
        "_coerce_null_value",
        "_column_schemas",
        "_filtered_tables",
        "_filtered_tables_columns",
        "_maybe_cancel",
        "_normalize_chunk",
        "_null_only_columns",
        "_report_progress",
        "_timezone_override",
    },
    "nilus/runtime/rows/reading/ordered_cursor.py": {"_primary_key"},
    "nilus/runtime/engine/progress.py": {"_start", "_stop"},
    "nilus/runtime/sinks/databases/postgres_copy.py": {"_file_path", "_job_client", "_raw_capabilities"},
    "nilus/runtime/sinks/databases/sqlalchemy.py": {
        "_create_merge_followup_jobs",
        "_ensure_transaction",
        "_to_table_object",
    },
    "nilus/runtime/sinks/files/client.py": {
        "_delete_file",
        "_file_path",
        "_job_client",
        "_load_id",
        "_load_table",
        "_write_to_json_file",
    },
    "nilus/runtime/sinks/lakehouse/client.py": {"_file_path", "_job_client", "_load_id"},
    "nilus/runtime/sinks/lakehouse/destination.py": {"_raw_capabilities"},
}
"""What subclasses of dlt's and Airflow's classes use of those, by module; each class says so."""


_OF_PYTHON = {"_abc_impl", "_is_protocol"}


class _Touch(NamedTuple):
    path: str
    line: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _defined(tree: ast.AST) -> set[str]:
    """Return the names that a module gives to functions, classes, fields and attributes of its own objects."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in (inner for one in targets for inner in ast.walk(one)):
                if isinstance(target, ast.Attribute) and _is_self(target.value):
                    names.add(target.attr)
                elif isinstance(target, ast.Name):
                    names.add(target.id)
    return names


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _is_super(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _modules(tree: ast.AST) -> set[str]:
    """Return the names under which a module has other modules that are ours or of the standard library."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name for alias in node.names if alias.name in sys.stdlib_module_names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _PACKAGES:
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _touches(path: str, source: str, own: set[str]) -> Iterator[_Touch]:
    """Yield what a module touches that is not public.

    Args:
        path: as it is named in messages.
        source: of the module.
        own: names that the modules define from which its classes inherit.
    """
    tree = ast.parse(source)
    defined, modules = own | _defined(tree), _modules(tree)
    is_near = re.search(r"^\s*(from|import) .*\b(dlt|pyiceberg|airflow|internals)\b", source, re.MULTILINE)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ImportFrom):
            yield from _imported(path, node)
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            base = node.value
            if (_is_self(base) or _is_super(base)) and (node.attr in defined or not is_near):
                continue
            if (isinstance(base, ast.Name) and base.id in modules) or node.attr == "_replace":
                continue
            yield _Touch(path, line, node.attr, ast.unparse(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            named = node.args[1]
            by_name = node.func.id in ("getattr", "setattr", "hasattr", "delattr") and isinstance(named, ast.Constant)
            if by_name and is_near and _is_private(str(named.value)):
                yield _Touch(path, line, str(named.value), ast.unparse(node))


def _imported(path: str, node: ast.ImportFrom) -> Iterator[_Touch]:
    module = node.module or ""
    if module.partition(".")[0] not in _FOREIGN or module.endswith(".exceptions"):
        return
    for alias in node.names:
        full = f"{module}.{alias.name}"
        inner = any(full == one or full.startswith(f"{one}.") for one in MACHINERY) and alias.name != "exceptions"
        if inner or _is_private(alias.name):
            yield _Touch(path, node.lineno, alias.name, f"from {module} import {alias.name}")


def _inherited(path: str, trees: dict[str, ast.Module]) -> set[str]:
    """Return the names that modules of ours define from which the classes of a module inherit."""
    homes = {
        alias.asname or alias.name: (node.module or "").replace(".", "/") + ".py"
        for node in ast.walk(trees[path])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    bases = {
        base.id
        for node in ast.walk(trees[path])
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    found: set[str] = set()
    for home in {homes[base] for base in bases if homes.get(base) in trees} - {path}:
        found |= _defined(trees[home]) | _inherited(home, trees)
    return found


def _shared() -> Iterator[_Touch]:
    """Yield the private names that a class of ours shares with the classes of dlt, pyiceberg or Airflow it extends.

    Such a name is defined on both sides, or ours uses what theirs sets; a class that is made in a function is not seen.
    """
    for path in sorted(path for package in _PACKAGES for path in (_ROOT / package).rglob("*.py")):
        relative = str(path.relative_to(_ROOT))
        if relative.startswith(INTERNALS) or relative in EXCEPTIONS or path.stem == "__main__":
            continue
        module = importlib.import_module(".".join(path.relative_to(_ROOT).with_suffix("").parts))
        for kind in vars(module).values():
            if not (inspect.isclass(kind) and kind.__module__ == module.__name__):
                continue
            foreign = [base for base in kind.__mro__ if base.__module__.partition(".")[0] in _FOREIGN]
            theirs = {name for base in foreign for name in (*vars(base), *_names_in(base))}
            for name in sorted({*vars(kind), *_names_in(kind)} & theirs):
                if _is_private(name) and name not in _OF_PYTHON:
                    yield _Touch(relative, 1, name, f"{kind.__name__}.{name}")


def _names_in(kind: type) -> Iterator[str]:
    """Yield the names of attributes that the methods of a class use."""
    for value in vars(kind).values():
        function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
        code = getattr(function, "__code__", None)
        if code is not None and function.__module__ != "typing":
            yield from code.co_names


@functools.cache
def _all_touches() -> list[_Touch]:
    sources = {
        str(path.relative_to(_ROOT)): path.read_text()
        for package in _PACKAGES
        for path in sorted((_ROOT / package).rglob("*.py"))
    }
    trees = {path: ast.parse(source) for path, source in sources.items()}
    return [
        touch
        for path, source in sources.items()
        if not path.startswith(INTERNALS) and path not in EXCEPTIONS
        for touch in _touches(path, source, _inherited(path, trees))
    ] + list(_shared())


def test_what_is_not_public_is_touched_in_the_internals_and_in_subclasses_alone() -> None:
    broken = [touch for touch in _all_touches() if touch.name not in SUBCLASSES.get(touch.path, ())]
    assert not broken, "Put these behind a function of an internals module (see docs/development.md):\n" + "\n".join(
        map(str, broken)
    )


def test_every_exception_is_still_needed() -> None:
    found: dict[str, set[str]] = {}
    for touch in _all_touches():
        found.setdefault(touch.path, set()).add(touch.name)
    unused = {path: sorted(names - found.get(path, set())) for path, names in SUBCLASSES.items()}
    assert {path: names for path, names in unused.items() if names} == {}
    for path in EXCEPTIONS:
        assert list(_touches(path, (_ROOT / path).read_text(), set())), path


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from dlt.common.json import _impl", "_impl"),
        ("from pyiceberg.io.pyarrow import _dataframe_to_data_files", "_dataframe_to_data_files"),
        ("from airflow.models.xcom import XComModel", "XComModel"),
        ("from dlt.extract import pipe", "pipe"),
        ("def f(resource):\n    return resource._pipe", "_pipe"),
        ("import dlt\n\nx = dlt.current._state", "_state"),
        ("from dlt import Base\n\nclass A(Base):\n    def f(self):\n        return self._client", "_client"),
        ("from dlt import Base\n\nclass A(Base):\n    def f(self):\n        return super()._run()", "_run"),
        ("class A:\n    _pipe = 1\n\ndef f(resource):\n    return resource._pipe", "_pipe"),
        ("import dlt\n\nsetattr(dlt.thing, '_hook', 1)", "_hook"),
    ],
)
def test_a_private_name_is_seen(source: str, name: str) -> None:
    assert [touch.name for touch in _touches("some.py", source, set())] == [name]


@pytest.mark.parametrize(
    "source",
    [
        "from dlt.extract import DltResource",
        "from dlt.extract.exceptions import PipeException",
        "from dlt.extract import exceptions",
        "import os\n\nos._exit(1)",
        "from jinja2 import Compiler\n\nclass A(Compiler):\n    def f(self):\n        return self._x",
        "class A:\n    def __init__(self):\n        self._x = 1\n\n    def f(self):\n        return self._x",
        "x.__class__",
    ],
)
def test_a_public_name_and_one_of_ours_are_passed_over(source: str) -> None:
    assert list(_touches("some.py", source, set())) == []
