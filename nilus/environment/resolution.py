"""Requirements -> the packages that are missing, each in one exact version; found once, then remembered.

What is remembered holds for the same requirements, the same installed packages, the same interpreter and the same
indexes. So a range stays with the version it first led to on this machine, until one of these changes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from nilus.cache.entries import Cache
from nilus.cache.staging import Staging
from nilus.environment import conflicts
from nilus.environment.python import constraint_wheels
from nilus.environment.python.installed_packages import InstalledPackages
from nilus.environment.python.interpreter import Interpreter
from nilus.environment.python.runtime_needs import RuntimeNeeds
from nilus.environment.requirements.file import RequirementLine, Requirements
from nilus.environment.uv.failure import UvFailed
from nilus.environment.uv.program import Uv
from nilus.environment.uv.settings import UvSettings
from nilus.errors import DependencyError
from nilus.programs.deadline import Deadline

_log = logging.getLogger("nilus.environment")

_BUCKET = "resolutions-v1"
_FORMAT = 1
# Each takes one block of a disk.
_MAX_BYTES = 16 * 2**20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Resolution:
    """What has to be added.

    Args:
        lines: `name==version` or `name @ address` for each package that is missing, in the order of names.
        remembered: whether uv had found it out earlier.
    """

    lines: tuple[str, ...]
    remembered: bool


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Finds out what is missing.

    Args:
        cache_dir: where it is remembered.
        interpreter: the Python packages are for.
        installed: what it has.
        uv_settings: where packages come from.
        needs: what has to be there besides.
        preferred: `name==version` lines: taken where nothing speaks against them.
    """

    cache_dir: Path
    interpreter: Interpreter
    installed: InstalledPackages
    uv_settings: UvSettings
    needs: RuntimeNeeds | None = None
    preferred: Sequence[str] = ()

    def resolve(self, requirements: Requirements, wanted: Sequence[RequirementLine], deadline: Deadline) -> Resolution:
        """Return what has to be added for the requirements that what is installed does not meet.

        Args:
            requirements: all there is in the files.
            wanted: those of them that are not met.
            deadline: for uv, and for another process that is asking the same.

        Raises:
            DependencyError: they contradict what is installed or each other, or could not be resolved.
        """

        def make(content: Path, staging: Staging) -> dict[str, Any]:
            lines = self._compile(requirements, wanted, staging, deadline)
            (content / "packages.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            return {"lines": lines}

        cache = self._cache()
        what = f"the list of the packages {requirements.file} needs"
        with cache.get(self._key(requirements, wanted), make, what=what, deadline=deadline) as entry:
            found = Resolution(tuple(entry.details["lines"]), not entry.made)
        if not found.remembered:
            cache.prune(_MAX_BYTES)
        return found

    def forget(self, requirements: Requirements, wanted: Sequence[RequirementLine]) -> None:
        """Forget what was found out: the next `resolve` asks uv again."""
        self._cache().forget(self._key(requirements, wanted))

    def _cache(self) -> Cache:
        return Cache(self.cache_dir / _BUCKET, content="resolution", error=DependencyError, log=_log)

    def _key(self, requirements: Requirements, wanted: Sequence[RequirementLine]) -> str:
        parts = [
            _FORMAT,
            [line.text for line in wanted],
            [line.text for line in requirements.constraints],
            requirements.options,
            self.installed.digest,
            self.interpreter.identity,
            self.uv_settings.identity,
        ]
        if self.needs is not None:
            parts += [self._requirement_texts(), list(self.preferred)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _compile(
        self, requirements: Requirements, wanted: Sequence[RequirementLine], staging: Staging, deadline: Deadline
    ) -> list[str]:
        folder = staging.folder / "installed"
        folder.mkdir()
        # A wheel's path is written as an address into these files, so nothing in it can be taken for a comment.
        constraints = constraint_wheels.write(self.installed, folder)
        _write(staging.folder / "installed.txt", constraints)
        _write(staging.folder / "constraints.txt", [line.text for line in requirements.constraints])
        uv = Uv(
            settings=self.uv_settings,
            python=self.interpreter.executable,
            deadline=deadline,
            folder=staging.folder,
            keep_open=(staging.fd,),
        )
        asked = [*requirements.options, "-c installed.txt", "-c constraints.txt", *(line.text for line in wanted)]
        text = "".join(f"{line}\n" for line in (*asked, *self._requirement_texts()))
        try:
            answer = uv.compile(text, doing=f"find out what {requirements.file} needs", preferred=self.preferred)
        except UvFailed as failed:
            raise self._to_error(failed, requirements) from None
        return sorted(line for line in answer if name_of(line) not in self.installed)

    def _requirement_texts(self) -> list[str]:
        return [str(requirement) for requirement in self.needs.requirements] if self.needs else []

    def _to_error(self, failed: UvFailed, requirements: Requirements) -> DependencyError:
        if self.needs is not None:
            return conflicts.with_needs(requirements, self.needs, failed.words) or failed.error()
        found = conflicts.told_by_uv(failed.words, requirements, self.installed)
        return conflicts.error(found, self.installed, failed.words) if found else failed.error()


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def name_of(line: str) -> str:
    """Return the package's name, in its normal form, of a line of a resolution."""
    match = _NAME.match(line)
    return canonicalize_name(match.group()) if match else line


def address_of(line: str) -> str:
    """Return the address of a line of a resolution, or an empty text."""
    return line.partition(" @ ")[2]
