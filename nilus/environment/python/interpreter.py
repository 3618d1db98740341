"""The interpreter packages are for: its build and platform, and where it looks for them.

Another interpreter than the one that runs this is asked by running this file: it imports the standard library alone.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import platform
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Interpreter:
    """One Python.

    Args:
        executable: its path.
        identity: what its packages depend on: implementation, exact build, machine, C library.
        path: the folders where it finds packages without being told of more.
        base: the path of the interpreter a virtual environment of it stands on.
        version: `3.12.1`.
        markers: what environment markers mean to it; None for what they mean to the interpreter that runs this.
    """

    executable: str
    identity: tuple[str, ...]
    path: tuple[str, ...]
    base: str = ""
    version: str = ""
    markers: Mapping[str, str] | None = field(default=None, compare=False)

    @classmethod
    def current(cls) -> Interpreter:
        """Return the one that runs this, as its child processes are: without `PYTHONPATH`."""
        return cls(sys.executable, _identity(), tuple(_child_path()), _base(), platform.python_version())

    @classmethod
    def at(cls, executable: str) -> Interpreter | None:
        """Return the one at a path, with an empty `path`; None if nothing there answers as a Python does."""
        command = [executable, "-I", __file__]
        try:
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ANSWER_SECONDS, check=True
            )
            return cls.from_answer(executable, json.loads(done.stdout))
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def from_answer(cls, executable: str, answer: Mapping[str, Any]) -> Interpreter:
        """Return the one that has answered so (`answer`).

        Raises:
            KeyError: something is missing in the answer.
        """
        return cls(
            executable, tuple(answer["identity"]), (), answer["base"], answer["version"], dict(answer["markers"])
        )

    def outermost(self) -> Interpreter:
        """Return the installation itself, where this is a link to one or a virtual environment's."""
        real = os.path.realpath(self.base or self.executable)
        return replace(self, executable=real, base=real, path=()) if Path(real).exists() else self

    def answer(self) -> dict[str, Any]:
        """Return what it has answered, as JSON-able data, for `from_answer`."""
        return {
            "identity": list(self.identity),
            "base": self.base,
            "version": self.version,
            "markers": dict(self.markers or _markers()),
        }


def _identity() -> tuple[str, ...]:
    return (
        sys.implementation.name,
        sys.version,
        importlib.machinery.EXTENSION_SUFFIXES[0],
        sysconfig.get_platform(),
        _c_library(),
    )


def _c_library() -> str:
    """Return the C library's name and version, where it tells; wheels are chosen by it."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError, AttributeError):
        return ""


def _base() -> str:
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def _markers() -> dict[str, str]:
    """Return the values of environment markers, as the dependency specifiers' specification defines them."""
    version = sys.implementation.version
    implementation = f"{version.major}.{version.minor}.{version.micro}"
    if version.releaselevel != "final":
        implementation += f"{version.releaselevel[0]}{version.serial}"
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": implementation,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def _child_path() -> list[str]:
    """Return the part of `sys.path` that a child process has, too: the site folders, and what their `.pth` files add.

    What `PYTHONPATH` or the program itself has added is not among it: a child is started without.
    """
    sites = [*site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        sites.append(site.getusersitepackages())
    known = {os.path.realpath(entry) for folder in sites for entry in (folder, *_pth_entries(folder))}
    return [entry for entry in dict.fromkeys(sys.path) if entry and os.path.realpath(entry) in known]


def _pth_entries(folder: str) -> Iterator[str]:
    for file in Path(folder).glob("*.pth"):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            if line.strip() and not line.startswith(("#", "import ", "import\t")):
                yield str(Path(folder, line.rstrip()))


if __name__ == "__main__":
    print(json.dumps(Interpreter(sys.executable, _identity(), (), _base(), platform.python_version()).answer()))
