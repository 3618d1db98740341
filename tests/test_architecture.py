"""The imports of every module, held against the tables of docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("nilus", "airflow_provider_nilus")
_PAGE = (_ROOT / "docs" / "architecture.md").read_text()
_ROW = re.compile(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", re.MULTILINE)
# Modules beside the wings: what sources import is one wing, and so are the modules of the runtime's own folder.
_AUTHORS = frozenset(("nilus", "nilus._alias", "nilus.class_resource"))


class _Import(NamedTuple):
    importer: str
    imported: str
    is_type_only: bool
    line: int


def _table(heading: str) -> dict[str, set[str]]:
    part = _PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return {wing: set(re.findall(r"`(\w+)`", imports)) for wing, imports in _ROW.findall(part)}


_NILUS = _table("The wings of `nilus`")
_RUNTIME = _table("The wings of `nilus.runtime`")
_PROVIDER = _table("The wings of `airflow_provider_nilus`")


def _modules() -> dict[str, Path]:
    found = {}
    for package in _PACKAGES:
        for path in (_ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(_ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


_MODULES = _modules()


def _targets(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in _MODULES]
    if isinstance(node, ast.ImportFrom) and node.module in _MODULES:
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in _MODULES else node.module for name in full]
    return []


def _imports() -> Iterator[_Import]:
    for name, path in _MODULES.items():
        tree = ast.parse(path.read_text())
        blocks = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        ]
        type_only = {inner for block in blocks for inner in ast.walk(block)}
        for node in ast.walk(tree):
            for target in _targets(node):
                yield _Import(name, target, node in type_only, getattr(node, "lineno", 0))


_IMPORTS = list(_imports())


def _wing(module: str, *, inside: str) -> str | None:
    """Return the wing of a module below `inside`, None if it is not below it."""
    if inside == "nilus" and module in _AUTHORS:
        return "custom_source"
    if module != inside and not module.startswith(f"{inside}."):
        return None
    first = module.removeprefix(inside).strip(".").partition(".")[0]
    if inside == "nilus.runtime":
        return first if (_ROOT / "nilus" / "runtime" / first).is_dir() and first else "pipeline"
    return first or inside


@pytest.mark.parametrize(
    ("inside", "arrows"),
    [("nilus", _NILUS), ("nilus.runtime", _RUNTIME), ("airflow_provider_nilus", _PROVIDER)],
    ids=["nilus", "nilus.runtime", "airflow_provider_nilus"],
)
def test_a_wing_imports_only_the_wings_its_row_names(inside: str, arrows: dict[str, set[str]]) -> None:
    allowed = {**arrows, "airflow_provider_nilus": {"task", "connections"}}
    broken = set()
    for importer, imported, _, line in _IMPORTS:
        one, other = _wing(importer, inside=inside), _wing(imported, inside=inside)
        if None not in (one, other) and one != other and other not in allowed.get(one or "", set()):
            broken.add(f"{_MODULES[importer].relative_to(_ROOT)}:{line} breaks {one} -> {other} ({imported})")
    assert not broken, "\n".join(sorted(broken))


def test_every_wing_has_a_row_and_every_row_a_wing() -> None:
    wings = {_wing(name, inside="nilus") for name in _MODULES if name.startswith("nilus")}
    assert wings == set(_NILUS)
    assert {_wing(name, inside="nilus.runtime") for name in _MODULES} - {None} == set(_RUNTIME)
    provider = {_wing(name, inside="airflow_provider_nilus") for name in _MODULES} - {None}
    assert provider == {*_PROVIDER, "airflow_provider_nilus"}


def test_nilus_never_imports_the_provider() -> None:
    broken = {one.importer for one in _IMPORTS if one.importer.startswith("nilus") and "airflow" in one.imported}
    assert not broken


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in _MODULES}
    for one in _IMPORTS:
        if not one.is_type_only and one.imported != one.importer:
            graph[one.importer].add(one.imported)
    while leaves := {name for name, imported in graph.items() if not imported}:
        graph = {name: imported - leaves for name, imported in graph.items() if name not in leaves}
    # What imports a circle stays as well: only modules that are imported by others of the rest are part of one.
    while graph.keys() - (imported := {name for names in graph.values() for name in names}):
        graph = {name: names for name, names in graph.items() if name in imported}
    assert not graph, "\n".join(
        f"{_MODULES[name].relative_to(_ROOT)} -> {', '.join(sorted(graph[name]))}" for name in graph
    )


def test_the_files_that_the_ten_changes_name_are_there() -> None:
    section = _PAGE.partition("## Ten everyday changes\n")[2]
    named = re.findall(r"`((?:nilus|airflow_provider_nilus|docs|tests)/[\w/.]+|pyproject\.toml)`", section)
    assert len(named) > 15
    assert [path for path in named if not (_ROOT / path).exists()] == []
