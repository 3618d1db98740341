"""A version of Python -> an interpreter of this machine; found once, then remembered as long as it stays the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from nilus.cache.entries import Cache
from nilus.cache.staging import Staging
from nilus.environment.python.interpreter import Interpreter
from nilus.environment.uv.failure import UvFailed
from nilus.environment.uv.program import Uv
from nilus.environment.uv.settings import UvSettings
from nilus.errors import DependencyError
from nilus.programs.deadline import Deadline

_log = logging.getLogger("nilus.environment")

_BUCKET = "interpreters-v1"
_FORMAT = 1
_MAX_BYTES = 2**20
_MANAGED = "UV_PYTHON_INSTALL_DIR"
_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")


def check_python(wanted: str) -> None:
    """See whether a text can mean an interpreter.

    Raises:
        DependencyError: it cannot.
    """
    # A number is a common slip, and 3.10 is none: it is 3.1.
    if not isinstance(wanted, str) or not (_VERSION.fullmatch(wanted) or Path(wanted).is_absolute()):
        raise DependencyError(
            "The operator's `python` is not known.",
            expected='a version, "3.12" or "3.12.1", or the absolute path of an interpreter',
            found=repr(wanted),
            remedy="Correct the argument.",
        )


def find_python(
    wanted: str, *, requires_python: str, cache_dir: Path, uv_settings: UvSettings, deadline: Deadline
) -> Interpreter:
    """Return an interpreter of this machine; nothing is downloaded.

    The worker's own is taken where its version is asked for. Else uv looks: along `PATH`, among those it manages, and
    among pyenv's, whose shims only work for versions that are switched on.

    Args:
        wanted: `3.12`, `3.12.1`, or an absolute path.
        requires_python: which versions nilus works with.
        cache_dir: where it is remembered which one was found.
        uv_settings: uv's environment.
        deadline: for uv, and for another process that is looking.

    Raises:
        DependencyError: there is none, or nilus does not work with it.
    """
    check_python(wanted)
    own = Interpreter.current()
    found = own if _is_version(own.version, wanted) else _from_cache(wanted, cache_dir, uv_settings, deadline)
    if found.version not in SpecifierSet(requires_python, prereleases=True):
        raise DependencyError(
            f"nilus does not work with Python {found.version}.",
            expected=f"Python {requires_python}",
            found=f"python={wanted!r}, which is {found.executable}",
            remedy="Ask for a newer version.",
        )
    return found


def _is_version(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _from_cache(wanted: str, cache_dir: Path, uv_settings: UvSettings, deadline: Deadline) -> Interpreter:
    cache = Cache(cache_dir / _BUCKET, content="interpreter", error=DependencyError, log=_log)
    variables = {**uv_settings.variables, "PATH": _search_path(uv_settings.variables)}
    if os.environ.get(_MANAGED):
        variables[_MANAGED] = os.environ[_MANAGED]
    places = {name: variables.get(name) for name in ("PATH", "HOME", "XDG_DATA_HOME", _MANAGED)}
    key = hashlib.sha256(json.dumps([_FORMAT, wanted, places]).encode()).hexdigest()

    def make(content: Path, staging: Staging) -> dict[str, Any]:
        uv = Uv(
            settings=dataclasses.replace(uv_settings, variables=variables),
            python=wanted,
            deadline=deadline,
            folder=staging.folder,
            keep_open=(staging.fd,),
        )
        found = _ask(wanted, uv)
        (content / "executable.txt").write_text(f"{found.executable}\n", encoding="utf-8")
        return {"executable": found.executable, "file": _file(found), "answer": found.answer()}

    for _ in range(2):
        with cache.get(key, make, what=f"the search for Python {wanted}", deadline=deadline) as entry:
            found = Interpreter.from_answer(entry.details["executable"], entry.details["answer"])
            if entry.made:
                cache.prune(_MAX_BYTES)
            if entry.details["file"] == _file(found):
                return found
        # It was replaced or removed since: look again.
        cache.forget(key)
    raise DependencyError(
        f"Python {wanted} was replaced while it was looked for.",
        expected=f"{found.executable} to stay what it is",
        found="another file",
        remedy="Nothing: the task may be tried again.",
        retryable=True,
    )


def _search_path(variables: Mapping[str, str]) -> str:
    folders = [folder for folder in variables.get("PATH", os.defpath).split(os.pathsep) if Path(folder).name != "shims"]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path(variables.get("HOME", os.sep), ".pyenv"))
    return os.pathsep.join([*folders, *map(str, sorted(pyenv.glob("versions/3.1*/bin")))])


def _file(interpreter: Interpreter) -> list[Any]:
    """Return what tells that an interpreter's file is still the same one."""
    real = os.path.realpath(interpreter.executable)
    try:
        status = Path(real).stat()
    except OSError:
        return [real]
    return [real, status.st_size, status.st_mtime_ns]


def _ask(wanted: str, uv: Uv) -> Interpreter:
    words = ""
    try:
        executable = wanted if Path(wanted).is_absolute() else uv.find_python(wanted)
        found = Interpreter.at(executable)
        if found is not None:
            return found
        words = f"{executable} does not run."
    except UvFailed as failed:
        words = failed.words
    raise DependencyError(
        f"There is no Python {wanted} on this machine.",
        expected="the interpreter that the task's `python` asks for, installed in the image of the workers",
        found=f"{_list_pythons(uv)}.\n{words}",
        remedy="Ask for a version that is there, or have it installed in the image: it is never downloaded.",
    )


def _list_pythons(uv: Uv) -> str:
    try:
        pythons = uv.pythons()
    except UvFailed:
        pythons = {}
    found = sorted({version: path for path, version in reversed(pythons.items())}.items(), key=_by_number)
    return ", ".join(f"{version} ({path})" for version, path in found) or "no Python at all"


def _by_number(found: tuple[str, str]) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", found[0])]
