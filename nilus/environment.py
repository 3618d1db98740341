"""requirements.txt -> the packages that are missing, in the cache.

What is installed beside the worker's Python stays as it is, and is what everything else has to fit to. What is missing
goes into a folder that stands behind it on the path of the process that runs the source.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from nilus import contradiction, file_tree, requirements
from nilus.cache import Cache, Entry
from nilus.deadline import Deadline
from nilus.errors import DependencyError
from nilus.hidden_modules import hidden_modules
from nilus.installed import Installed
from nilus.interpreter import Interpreter
from nilus.requirements import Requirements, Wanted
from nilus.resolution import Resolution, Resolver, address_of, name_of
from nilus.staging import Staging
from nilus.uv import Uv
from nilus.uv_failure import UvFailed
from nilus.uv_settings import Index, UvSettings, settings_of

__all__ = ["Environment", "EnvironmentSettings", "Index", "prepare"]

_log = logging.getLogger("nilus.environment")

_BUCKET = "envs-v1"
_CONTENT = "packages"
_FORMAT = 1
_MOST_TOLD = 10


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings:
    """What the deployment decides.

    Args:
        cache_dir: where packages are kept; see `nilus.cache_folder.default_cache_dir`.
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
    """The folders a source needs behind the worker's own, in use: they stay until `release`, or this process's end.

    Args:
        paths: absolute paths, in their order; empty if nothing is missing.
        packages: what is in them: `name==version`, or `name @ address`.
        cached: whether nothing had to be installed for it now.
        seconds: how long it took to get it.
    """

    paths: list[str] = field(default_factory=list)
    packages: tuple[str, ...] = ()
    cached: bool = True
    seconds: float = 0.0
    _entry: Entry | None = field(default=None, repr=False, compare=False)

    def release(self) -> None:
        """Let the folders go; further calls do nothing."""
        if self._entry is not None:
            self._entry.release()

    def __enter__(self) -> Environment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def prepare(base_dir: Path, *, checkout: Path, settings: EnvironmentSettings, timeout: float = 600.0) -> Environment:
    """Return what a source's `requirements.txt` asks for and this worker does not have.

    Requirements, installed packages, interpreter and indexes that were seen before cost neither network nor a process.

    Args:
        base_dir: the folder of the source's modules, inside the checkout.
        checkout: the repository's root.
        settings: what the deployment decides.
        timeout: seconds for all of it, waiting for other processes included.

    Raises:
        DependencyError: the requirements cannot be read, are not allowed, contradict what is installed, or could not be
            resolved or installed.
    """
    if not (math.isfinite(timeout) and timeout > 0):
        raise DependencyError(
            "The timeout for the requirements is not a time.",
            expected="a number of seconds greater than 0",
            found=str(timeout),
            remedy="Correct it.",
        )
    deadline = Deadline(timeout)
    asked = requirements.read(base_dir, checkout, allow_direct=settings.allow_direct_requirements)
    if asked is None:
        return Environment()
    interpreter = Interpreter.current()
    installed = Installed.on(interpreter.path)
    contradictions = contradiction.direct(asked.wanted, installed)
    if contradictions:
        raise contradiction.error(contradictions, installed)
    _tell_of_met(asked.wanted, installed)
    missing = [line for line in asked.wanted if not _is_met(line, installed)]
    if not missing:
        return Environment(seconds=deadline.elapsed)
    return _Preparation(asked, missing, settings, interpreter, installed, deadline).run()


def _is_met(line: Wanted, installed: Installed) -> bool:
    """Whether an installed package is all a line asks for: contradictions are sorted out before, extras need a look."""
    return line.requirement is not None and not line.requirement.extras and line.name in installed


def _tell_of_met(wanted: Iterable[Wanted], installed: Installed) -> None:
    told = []
    for line in wanted:
        package = installed.get(line.name)
        if package is not None and _is_met(line, installed):
            told.append(f"{line.text} ({line.origin}; installed is {package.version_text})")
    if told:
        more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        _log.info("These requirements can be dropped, the worker has them: %s%s.", ", ".join(told[:_MOST_TOLD]), more)


@dataclass(frozen=True)
class _Preparation:
    asked: Requirements
    missing: Sequence[Wanted]
    settings: EnvironmentSettings
    interpreter: Interpreter
    installed: Installed
    deadline: Deadline

    def run(self) -> Environment:
        own_index = any(option.startswith("--index-url") for option in self.asked.options)
        uv_settings = settings_of(os.environ, self.settings.index, without_default_index=own_index)
        resolver = Resolver(
            cache_dir=self.settings.cache_dir,
            interpreter=self.interpreter,
            installed=self.installed,
            uv_settings=uv_settings,
        )
        resolution = resolver.resolve(self.asked, self.missing, self.deadline)
        try:
            return self._environment(resolution, uv_settings)
        except UvFailed as failed:
            if not resolution.remembered or failed.kind.retryable:
                raise failed.error() from None
            # An index may have lost a version that was found in it once.
            resolver.forget(self.asked, self.missing)
            again = resolver.resolve(self.asked, self.missing, self.deadline)
            if again.lines == resolution.lines:
                raise failed.error() from None
        try:
            return self._environment(again, uv_settings)
        except UvFailed as failed:
            raise failed.error() from None

    def _environment(self, resolution: Resolution, uv_settings: UvSettings) -> Environment:
        if not resolution.lines:
            return Environment(seconds=self.deadline.elapsed)
        lines, require_hashes = self._with_hashes(resolution.lines)
        cache = Cache(self.settings.cache_dir / _BUCKET, content=_CONTENT, error=DependencyError, log=_log)

        def make(content: Path, staging: Staging) -> dict[str, Any]:
            uv = Uv(
                settings=uv_settings,
                python=self.interpreter.executable,
                deadline=self.deadline,
                folder=staging.folder,
                keep_open=(staging.fd,),
            )
            doing = f"install what {self.asked.file} needs"
            uv.install([*self.asked.options, *lines], content, require_hashes=require_hashes, doing=doing)
            file_tree.make_read_only(content)
            return {"packages": list(resolution.lines)}

        key = _hash([_FORMAT, self.interpreter.identity, lines, self.asked.options, uv_settings.identity])
        entry = cache.get(key, make, what=f"the packages {self.asked.file} needs", deadline=self.deadline)
        environment = Environment(
            paths=[str(entry.path)],
            packages=resolution.lines,
            cached=not entry.made,
            seconds=self.deadline.elapsed,
            _entry=entry,
        )
        self._tell(environment)
        if entry.made:
            cache.prune(self.settings.cache_max_bytes)
        return environment

    def _with_hashes(self, lines: Sequence[str]) -> tuple[list[str], bool]:
        """Return the lines with the hashes the requirements give, and whether all must have one.

        As in pip, all must have one if any has.
        """
        require = any(line.hashes for line in self.asked.wanted)
        hashes: dict[str, set[str]] = {}
        for line in (*self.asked.wanted, *self.asked.constraints):
            hashes.setdefault(line.name or line.text, set()).update(line.hashes)
        given = [hashes.get(name_of(line), set()) | hashes.get(address_of(line), set()) for line in lines]
        without = [line for line, found in zip(lines, given, strict=True) if not found and "#sha" not in line]
        if require and without:
            raise DependencyError(
                f"{self.asked.file} gives hashes, but not for all packages that have to be added.",
                expected="a hash for each of them, as one hash anywhere means that all are required",
                found=f"none for {', '.join(without)}",
                remedy="Write the missing lines, with their hashes: pip-compile --generate-hashes makes them; or leave "
                "all hashes out.",
            )
        options = (" ".join(f"--hash={text}" for text in sorted(found)) for found in given)
        return [f"{line} {option}".strip() for line, option in zip(lines, options, strict=True)], require

    def _tell(self, environment: Environment) -> None:
        how = "from the cache" if environment.cached else "installed"
        _log.info(
            "%s: added %s (%s, %.1f s).", self.asked.file, ", ".join(environment.packages), how, environment.seconds
        )
        for folder in environment.paths:
            for name, why in hidden_modules(Path(folder), self.interpreter.path).items():
                _log.warning("%s adds the module %s, but %s.", self.asked.file, name, why)


def _hash(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
