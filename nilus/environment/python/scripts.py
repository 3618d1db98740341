"""The programs that added packages bring: made to find the packages when something starts them."""

from __future__ import annotations

import ast
from pathlib import Path

_FOLDER = "bin"
# How a script begins whose interpreter's path is too long for its first line, or relative: text to Python.
_BY_SHELL = b"'''exec' "
# At the end of the path, as the process that runs the source has it, with its `.pth` files.
_ADDED = (
    "import os as _os, site as _site; "
    "_site.addsitedir(_os.path.dirname(_os.path.dirname(_os.path.realpath(__file__)))); del _os, _site\n"
)


def complete(folder: Path) -> None:
    """Let the Python scripts in a folder's `bin` look for modules in the folder, too.

    Installers write scripts that start the interpreter the packages are for. That is enough in an environment of its
    own, but what stands in a folder only beside one is not on that interpreter's path.

    Args:
        folder: where packages were installed.
    """
    programs = folder / _FOLDER
    if not programs.is_dir():
        return
    for path in sorted(programs.iterdir()):
        if path.is_file() and not path.is_symlink():
            _complete(path)


def _complete(path: Path) -> None:
    content = path.read_bytes()
    first, _, rest = content.partition(b"\n")
    if not first.startswith(b"#!") or not (b"python" in first or rest.startswith(_BY_SHELL)):
        return
    try:
        text = content.decode("utf-8")
        at = _first_line(ast.parse(text))
    except (UnicodeDecodeError, SyntaxError, ValueError):
        # No Python: a shell's script, or one in another encoding.
        return
    lines = text.splitlines(keepends=True)
    lines.insert(at, _ADDED)
    path.write_text("".join(lines), encoding="utf-8", newline="")


def _first_line(tree: ast.Module) -> int:
    """Return how many lines come before the first statement that is neither the docstring nor a future import."""
    at = 0
    for number, statement in enumerate(tree.body):
        is_docstring = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not (is_docstring or is_future):
            decorators = getattr(statement, "decorator_list", [])
            first: int = min(one.lineno for one in (statement, *decorators))
            return max(at, first - 1)
        at = statement.end_lineno or at
    return at
