"""What both kinds of environments share: resolve, look up or make, and once more where an index has changed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nilus.cache import file_tree
from nilus.cache.entries import Cache, Entry
from nilus.cache.staging import Staging
from nilus.environment.model import Environment, EnvironmentSettings
from nilus.environment.python.interpreter import Interpreter
from nilus.environment.requirements.file import RequirementLine, Requirements
from nilus.environment.resolution import Resolution, Resolver, address_of, name_of
from nilus.environment.uv.failure import UvFailed
from nilus.environment.uv.program import Uv
from nilus.environment.uv.settings import UvSettings, settings_of
from nilus.errors import DependencyError
from nilus.programs.deadline import Deadline

log = logging.getLogger("nilus.environment")

_BUCKET = "envs-v1"
_CONTENT = "packages"
_FORMAT = 2


@dataclass(frozen=True)
class Preparation(ABC):
    """Makes one environment, or finds it in the cache.

    Args:
        asked: what the source asks for.
        missing: what of it has to be resolved.
        settings: what the deployment decides.
        interpreter: the Python the packages are for.
        deadline: for all of it.
    """

    kind: ClassVar[str]

    asked: Requirements
    missing: Sequence[RequirementLine]
    settings: EnvironmentSettings
    interpreter: Interpreter
    deadline: Deadline

    def run(self) -> Environment:
        """Return the environment, in use.

        Raises:
            DependencyError: there is none to be had.
        """
        own_index = any(option.startswith("--index-url") for option in self.asked.options)
        uv_settings = settings_of(
            os.environ,
            self.settings.index,
            without_default_index=own_index,
            cache_dir=self.settings.cache_dir,
        )
        resolver = self._resolver(uv_settings)
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

    @abstractmethod
    def _resolver(self, uv_settings: UvSettings) -> Resolver: ...

    @abstractmethod
    def _fill(self, uv: Uv, lines: Sequence[str], content: Path) -> None:
        """Put packages, given as lines of a requirements file, into an empty folder.

        Raises:
            UvFailed, DependencyError: they cannot be had.
        """

    @abstractmethod
    def _to_environment(self, entry: Entry, resolution: Resolution) -> Environment: ...

    @abstractmethod
    def _check(self, resolution: Resolution) -> None:
        """See whether what was found may be installed.

        Raises:
            DependencyError: it may not.
        """

    def _hashes(self, line: str) -> set[str]:
        """Return the hashes that the requirements give for a line of a resolution."""
        asked = (*self.asked.wanted, *self.asked.constraints)
        return {
            text for one in asked if (one.name or one.text) in (name_of(line), address_of(line)) for text in one.hashes
        }

    def _with_hashes(self, line: str) -> str:
        return " ".join([line, *(f"--hash={text}" for text in sorted(self._hashes(line)))])

    @property
    def _doing(self) -> str:
        return f"install what {self.asked.file} needs"

    def _environment(self, resolution: Resolution, uv_settings: UvSettings) -> Environment:
        if not resolution.lines:
            return Environment(seconds=self.deadline.seconds_elapsed)
        self._check(resolution)
        lines = [self._with_hashes(line) for line in resolution.lines]
        cache = Cache(self.settings.cache_dir / _BUCKET, content=_CONTENT, error=DependencyError, log=log)

        def make(content: Path, staging: Staging) -> dict[str, Any]:
            uv = Uv(
                settings=uv_settings,
                python=self.interpreter.executable,
                deadline=self.deadline,
                folder=staging.folder,
                keep_open=(staging.fd,),
            )
            self._fill(uv, [*self.asked.options, *lines], content)
            file_tree.make_read_only(content)
            return {"packages": list(resolution.lines)}

        # Programs name their interpreter, so its path counts as its build does.
        python = [self.interpreter.executable, self.interpreter.base, *self.interpreter.identity]
        key = _hash([_FORMAT, self.kind, python, lines, self.asked.options, uv_settings.identity])
        entry = cache.get(key, make, what=f"the packages {self.asked.file} needs", deadline=self.deadline)
        environment = self._to_environment(entry, resolution)
        self._tell(environment)
        if entry.made:
            cache.prune(self.settings.cache_max_bytes)
        return environment

    def _tell(self, environment: Environment) -> None:
        how = "from the cache" if environment.cached else "installed"
        log.info("%s: %s (%s, %.1f s).", self.asked.file, self._what(environment), how, environment.seconds)

    def _what(self, environment: Environment) -> str:
        return f"added {', '.join(environment.packages)}"


def _hash(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
