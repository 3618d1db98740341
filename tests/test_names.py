"""The names of modules, classes and functions: the field's nouns and verbs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("nilus", "airflow_provider_nilus")
_WORDS = frozenset(
    """
    said told shown kept own found made given left taken written known held sent gone done chosen drawn built bound
    brought spent met lost seen unseen hidden broken inside around between within without apart again away aside later
    elsewhere together unknown twice once utils util helpers manager misc
    """.split()  # noqa: SIM905 - as a list it is a page
)
_VERBS = frozenset(("embed", "exceed", "feed", "need", "proceed", "seed", "shed"))
_ALLOWED = {
    "addressed": "the connections that carry an address, beside those that a form fills in",
    "redacted": "the public form of a workflow without its secrets",
}


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno


def _is_bare(name: str) -> bool:
    word = name.strip("_")
    if not word.islower() or "_" in word or word in _ALLOWED:  # an event is a class of what has happened: `Loaded`
        return False
    return word in _WORDS or (word.endswith("ed") and word not in _VERBS)


def test_no_module_class_or_function_is_a_bare_participle_or_adverb():
    found = []
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            place = path.relative_to(_ROOT)
            found += [f"{place}: module {path.stem}"] if _is_bare(path.stem) else []
            found += [f"{place}:{line}: {name}" for name, line in _names(ast.parse(path.read_text())) if _is_bare(name)]
    assert not found, "\n".join(found)


def test_a_bare_participle_is_recognised():
    assert [name for name in ("_made", "kept", "masked", "embed", "Loaded", "is_gone", "put") if _is_bare(name)] == [
        "_made",
        "kept",
        "masked",
    ]
