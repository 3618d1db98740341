"""The interpreter packages are for: its build and platform, and where it looks for them."""

from __future__ import annotations

import importlib.machinery
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Interpreter:
    """One Python.

    Args:
        executable: its path.
        identity: what its packages depend on: implementation, exact build, machine, C library.
        path: the folders where it finds packages without being told of more.
    """

    executable: str
    identity: tuple[str, ...]
    path: tuple[str, ...]

    @classmethod
    def current(cls) -> Interpreter:
        """Return the one that runs this, as its child processes are: without `PYTHONPATH`."""
        identity = (
            sys.implementation.name,
            sys.version,
            importlib.machinery.EXTENSION_SUFFIXES[0],
            sysconfig.get_platform(),
            _c_library(),
        )
        return cls(sys.executable, identity, tuple(_child_path()))


def _c_library() -> str:
    """Return the C library's name and version, where it tells; wheels are chosen by it."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError, AttributeError):
        return ""


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
