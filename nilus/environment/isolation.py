"""An environment of a source's own: a virtual environment with dlt, the sink's driver and the source's requirements.

Nothing that is installed beside the worker's Python is in it, Airflow least of all, and nothing of it is a constraint:
what the worker has is preferred where the requirements leave a choice, so that both kinds of environments behave alike.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from packaging.utils import canonicalize_name

from nilus.cache.entries import Entry
from nilus.environment import conflicts
from nilus.environment.builder import Preparation
from nilus.environment.model import Environment, EnvironmentSettings
from nilus.environment.python.finder import find_python
from nilus.environment.python.installed_packages import InstalledPackages
from nilus.environment.python.interpreter import Interpreter
from nilus.environment.python.runtime_copy import runtime_copy
from nilus.environment.python.runtime_needs import OURS, RuntimeNeeds, runtime_needs
from nilus.environment.requirements import file
from nilus.environment.requirements.file import RequirementLine, Requirements
from nilus.environment.resolution import Resolution, Resolver, name_of
from nilus.environment.uv.program import Uv
from nilus.environment.uv.settings import UvSettings, settings_of
from nilus.errors import DependencyError
from nilus.programs.deadline import Deadline

_NO_FILE = "the source's isolated environment"
_IS_THERE = frozenset((canonicalize_name("nilus"), canonicalize_name(OURS)))


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """That a source runs in an environment of its own, and which.

    Args:
        extras: what of our package's extras it needs: those of the sink, see
            `nilus.environment.python.runtime_needs.extras_of`.
        python: the version of its Python, or the path of one; None for the worker's.
    """

    extras: tuple[str, ...] = ()
    python: str | None = None


def prepare_isolated(
    base_dir: Path, checkout: Path, settings: EnvironmentSettings, isolation: Isolation, deadline: Deadline
) -> Environment:
    """Return the environment, in use. The arguments are those of `nilus.environment.prepare`.

    Raises:
        DependencyError: see there.
    """
    interpreter, needs = _python(settings, isolation, deadline)
    asked = file.read(base_dir, checkout, allow_direct=settings.allow_direct_requirements, markers=interpreter.markers)
    asked = _without_nilus(asked or Requirements(_NO_FILE))
    error = conflicts.with_needs(asked, needs)
    if error is not None:
        raise error
    return _IsolatedEnvironment(asked, asked.wanted, settings, interpreter, deadline, needs).run()


def _python(
    settings: EnvironmentSettings, isolation: Isolation, deadline: Deadline
) -> tuple[Interpreter, RuntimeNeeds]:
    needs = runtime_needs(isolation.extras)
    if not isolation.python:
        # Not that of the worker's own virtual environment: all that stand on one installation share what is made here.
        return Interpreter.current().outermost(), needs
    found = find_python(
        isolation.python,
        requires_python=needs.requires_python,
        cache_dir=settings.cache_dir,
        uv_settings=settings_of(os.environ, settings.index, cache_dir=settings.cache_dir),
        deadline=deadline,
    )
    return found.outermost(), runtime_needs(isolation.extras, found.markers)


def _without_nilus(asked: Requirements) -> Requirements:
    """Leave out lines for what travels with the source anyway, whatever version they give."""

    def without_worker_lines(lines: Sequence[RequirementLine]) -> tuple[RequirementLine, ...]:
        return tuple(line for line in lines if line.name not in _IS_THERE)

    return dataclasses.replace(
        asked, wanted=without_worker_lines(asked.wanted), constraints=without_worker_lines(asked.constraints)
    )


@dataclass(frozen=True)
class _IsolatedEnvironment(Preparation):
    kind: ClassVar[str] = "isolated"

    needs: RuntimeNeeds

    def _resolver(self, uv_settings: UvSettings) -> Resolver:
        return Resolver(
            cache_dir=self.settings.cache_dir,
            interpreter=self.interpreter,
            installed=InstalledPackages({}),
            uv_settings=uv_settings,
            needs=self.needs,
            preferred=self._preferences(),
        )

    @staticmethod
    def _preferences() -> list[str]:
        installed = InstalledPackages.on(Interpreter.current().path)
        return sorted(f"{package.name}=={package.version}" for package in installed if package.version is not None)

    def _check(self, resolution: Resolution) -> None:
        """Nothing more is asked: what nilus brings has no hashes, those the requirements give are verified."""

    def _fill(self, uv: Uv, lines: Sequence[str], content: Path) -> None:
        python = uv.venv(content, doing=f"make a virtual environment of Python {self.interpreter.version}")
        own = dataclasses.replace(uv, python=python)
        own.install(lines, None, require_hashes=False, doing=self._doing)
        if not (content / "pyvenv.cfg").exists():
            raise DependencyError(
                "The isolated environment is not a virtual environment.",
                expected=f"pyvenv.cfg in {content}",
                found="none",
                remedy="Look for a requirement that removes it.",
            )

    def _what(self, environment: Environment) -> str:
        named = {line.name for line in self.asked.wanted}
        asked = [line for line in environment.packages if name_of(line) in named]
        own = f" with {', '.join(asked)}" if asked else ""
        return (
            f"an isolated environment of Python {self.interpreter.version}{own}, {len(environment.packages)} packages"
        )

    def _to_environment(self, entry: Entry, resolution: Resolution) -> Environment:
        try:
            runtime = runtime_copy(self.settings.cache_dir, self.interpreter, self.deadline)
        except BaseException:
            entry.release()
            raise
        return Environment(
            packages=resolution.lines,
            cached=not entry.made,
            seconds=self.deadline.seconds_elapsed,
            folder=entry.path,
            python=str(entry.path / "bin" / "python"),
            program=(str(runtime.path),),
            _entries=(entry, runtime),
        )
