"""The packages a source needs and the worker lacks: one folder that stands behind the worker's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nilus.cache.entries import Entry
from nilus.environment.builder import Preparation, log
from nilus.environment.model import Environment
from nilus.environment.python import scripts
from nilus.environment.python.hidden_modules import hidden_modules
from nilus.environment.python.installed_packages import InstalledPackages
from nilus.environment.resolution import Resolution, Resolver
from nilus.environment.uv.program import Uv
from nilus.environment.uv.settings import UvSettings
from nilus.errors import DependencyError


@dataclass(frozen=True)
class AddedPackages(Preparation):
    """Adds what is missing.

    Args:
        installed: what the interpreter has: everything else has to fit to it.
    """

    kind: ClassVar[str] = "added"

    installed: InstalledPackages

    def _resolver(self, uv_settings: UvSettings) -> Resolver:
        return Resolver(
            cache_dir=self.settings.cache_dir,
            interpreter=self.interpreter,
            installed=self.installed,
            uv_settings=uv_settings,
        )

    def _check(self, resolution: Resolution) -> None:
        """See that all have a hash if any has one, as in pip."""
        without = [line for line in resolution.lines if not self._hashes(line) and "#sha" not in line]
        if self._require_hashes and without:
            raise DependencyError(
                f"{self.asked.file} gives hashes, but not for all packages that have to be added.",
                expected="a hash for each of them, as one hash anywhere means that all are required",
                found=f"none for {', '.join(without)}",
                remedy="Write the missing lines, with their hashes: pip-compile --generate-hashes makes them; or leave "
                "all hashes out.",
            )

    @property
    def _require_hashes(self) -> bool:
        return any(line.hashes for line in self.asked.wanted)

    def _fill(self, uv: Uv, lines: Sequence[str], content: Path) -> None:
        uv.install(lines, content, require_hashes=self._require_hashes, doing=self._doing)
        scripts.complete(content)

    def _to_environment(self, entry: Entry, resolution: Resolution) -> Environment:
        for name, why in hidden_modules(entry.path, self.interpreter.path).items():
            log.warning("%s adds the module %s, but %s.", self.asked.file, name, why)
        return Environment(
            paths=[str(entry.path)],
            packages=resolution.lines,
            cached=not entry.made,
            seconds=self.deadline.seconds_elapsed,
            _entries=(entry,),
        )
