"""What the deployment decides about environments, and what an environment is for those who run sources in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from nilus.cache.entries import Entry
from nilus.environment.uv.settings import Index


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings:
    """What the deployment decides.

    Args:
        cache_dir: where packages are kept; see `nilus.cache.folder.default_cache_dir`.
        cache_max_bytes: how much room they may take on the disk. What is in use stays, whatever it takes.
        allow_direct_requirements: whether a repository may name addresses, and indexes of its own.
        index: where packages come from; None for what the worker's environment says, in uv's variables or pip's.
    """

    cache_dir: Path
    cache_max_bytes: int
    allow_direct_requirements: bool = False
    index: Index | None = None


@dataclass(frozen=True)
class Environment:
    """What a source needs, in use: its folders stay until `release`, or this process's end.

    Args:
        paths: the folders of packages that stand behind the worker's own: absolute paths, in their order; empty if
            nothing is missing, and in an isolated environment, which has its packages itself.
        packages: what is in it: `name==version`, or `name @ address`.
        cached: whether nothing had to be installed for it now.
        seconds: how long it took to get it.
        folder: of an isolated environment: a virtual environment's; None where the worker's own Python runs the source.
        python: the interpreter that runs the source.
        program: its arguments that start `nilus.runtime`, those of the job follow.
    """

    paths: list[str] = field(default_factory=list)
    packages: tuple[str, ...] = ()
    cached: bool = True
    seconds: float = 0.0
    folder: Path | None = None
    python: str = sys.executable
    program: tuple[str, ...] = ("-m", "nilus.runtime")
    _entries: tuple[Entry, ...] = field(default=(), repr=False, compare=False)

    @property
    def is_isolated(self) -> bool:
        """Whether nothing of the worker's packages is in it."""
        return self.folder is not None

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables a source's process gets: those given, with the programs of the packages on its `PATH`.

        What was added stands behind the worker's own, as its modules do; an isolated environment comes first.
        """
        path = [environ["PATH"]] if environ.get("PATH") else []
        if self.folder is not None:
            programs = str(self.folder / "bin")
            return {**environ, "PATH": os.pathsep.join([programs, *path]), "VIRTUAL_ENV": str(self.folder)}
        added = [str(folder) for folder in (Path(found, "bin") for found in self.paths) if folder.is_dir()]
        if not added:
            return dict(environ)
        return {**environ, "PATH": os.pathsep.join([*(path or [os.defpath]), *added])}

    def release(self) -> None:
        """Let the folders go; further calls do nothing."""
        for entry in self._entries:
            entry.release()

    def __enter__(self) -> Environment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
