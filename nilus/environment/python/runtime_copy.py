"""What of the package `nilus` runs sources, as a folder that an interpreter without it can run.

::

    <cache_dir>/runtime-v1/<hash of the files and of the interpreter>/runtime/__main__.py
                                                                      runtime/nilus/…

`python -P <folder>` puts the folder on its path and runs `nilus.runtime`. Nothing else of the worker's comes with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
from pathlib import Path
from typing import Any

from nilus.cache import file_tree
from nilus.cache.entries import Cache, Entry
from nilus.cache.staging import Staging
from nilus.environment.python.interpreter import Interpreter
from nilus.errors import DependencyError
from nilus.programs.deadline import Deadline

_log = logging.getLogger("nilus.environment")

_BUCKET = "runtime-v1"
_FORMAT = 1
_MAX_BYTES = 64 * 2**20
_PACKAGE = Path(__file__).resolve().parents[2]
# The child process imports these and no more: an edit of anything else makes no isolated environment again.
_COPIED = (
    "__init__.py",
    "_alias.py",
    "class_resource.py",
    "custom_source.py",
    "errors.py",
    "protocol",
    "runtime",
    "values",
)
_MAIN = '''\
"""Runs `nilus.runtime` out of this folder."""

import runpy

runpy.run_module("nilus.runtime", run_name="__main__", alter_sys=True)
'''


def runtime_copy(cache_dir: Path, interpreter: Interpreter, deadline: Deadline) -> Entry:
    """Return the folder with the modules as they are now, compiled for an interpreter; use it in a `with` statement.

    Args:
        cache_dir: where it is kept.
        interpreter: the one that will run it.
        deadline: for compiling, and for another process that is making it.

    Raises:
        DependencyError: the cache cannot be used, or the interpreter could not compile.
    """
    files = _files()

    def make(content: Path, staging: Staging) -> dict[str, Any]:  # noqa: ARG001 - the cache's form
        for name, text in files.items():
            path = content / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        _compile(content, interpreter, deadline)
        file_tree.make_read_only(content)
        return {}

    cache = Cache(cache_dir / _BUCKET, content="runtime", error=DependencyError, log=_log)
    entry = cache.get(_key(files, interpreter), make, what="the copy of nilus", deadline=deadline)
    if entry.made:
        cache.prune(_MAX_BYTES)
    return entry


def _files() -> dict[str, bytes]:
    """Return what is copied: relative paths and contents. They are read once, so that the key is that of the copy."""
    places = [_PACKAGE / name for name in _COPIED]
    paths = sorted(path for place in places for path in ([place] if place.is_file() else place.rglob("*.py")))
    found = {f"nilus/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes() for path in paths}
    return {"__main__.py": _MAIN.encode(), **found}


def _key(files: dict[str, bytes], interpreter: Interpreter) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, interpreter.identity]).encode())
    for name, content in files.items():
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _compile(folder: Path, interpreter: Interpreter, deadline: Deadline) -> None:
    command = [interpreter.executable, "-I", "-m", "compileall", "-q", str(folder)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=deadline.seconds_left,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise DependencyError(
            "The copy of nilus for an isolated environment could not be compiled.",
            expected=f"{interpreter.executable} to run, within {deadline.seconds:g} seconds",
            found=str(problem).partition("\n")[0],
            remedy="Give it a longer timeout, or have the interpreter repaired.",
            retryable=True,
        ) from None
    if done.returncode:
        raise DependencyError(
            f"nilus does not work with Python {interpreter.version}.",
            expected="a Python that can compile its modules",
            found="\n".join((done.stdout + done.stderr).splitlines()[-5:]),
            remedy="Ask for another version of Python.",
        )
