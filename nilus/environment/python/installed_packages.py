"""What is installed: the packages a child process finds, by name and version, and who needs which of them.

Names and versions are taken from the names of the folders that hold the packages' metadata, as the specification of
recorded installations prescribes them: a listing of a folder, not two hundred files to parse. The metadata themselves
are read when something is to be explained or resolved.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

_OURS = "airflow-provider-nilus"
_NILUS = canonicalize_name("nilus")
_EGG_PYTHON = re.compile(r"-py\d.*$")


@dataclass(frozen=True)
class InstalledPackage:
    """One installed package.

    Args:
        name: its name in the normal form.
        version: its version; None where what is written is no version.
        folder: where its metadata are.
        any_version: whatever version is asked for, this package is meant.
    """

    name: NormalizedName
    version: Version | None
    folder: Path
    any_version: bool = False

    @property
    def version_text(self) -> str:
        """The version as it may be shown."""
        return str(self.version) if self.version else "of an unknown version"

    def requirements(self) -> Iterator[Requirement]:
        """Yield what it requires, for its extras too; what cannot be parsed is left out."""
        for text in Distribution.at(self.folder).requires or ():
            try:
                yield Requirement(text)
            except InvalidRequirement:
                continue


class InstalledPackages:
    """The packages found on a path; of several with one name the first, as imports take it.

    Args:
        packages: by name.
    """

    def __init__(self, packages: Mapping[NormalizedName, InstalledPackage]) -> None:
        self._packages = dict(packages)
        # Sources that list `nilus` mean what they import, which comes with us, and no package some index has under this
        # name. The version they give is that of the product Nilus.
        ours = self._packages.get(canonicalize_name(_OURS))
        if ours is not None:
            self._packages.setdefault(_NILUS, InstalledPackage(_NILUS, ours.version, ours.folder, any_version=True))

    @classmethod
    def on(cls, path: Iterable[str]) -> InstalledPackages:
        """Return what is installed in the folders of a path."""
        packages: dict[NormalizedName, InstalledPackage] = {}
        for entry in path:
            for package in _packages_in(entry).values():
                packages.setdefault(package.name, package)
        return cls(packages)

    def get(self, name: NormalizedName | None) -> InstalledPackage | None:
        """Return the package of a name, or None."""
        return self._packages.get(name) if name is not None else None

    def __contains__(self, name: object) -> bool:
        return name in self._packages

    def __iter__(self) -> Iterator[InstalledPackage]:
        return iter(self._packages.values())

    @functools.cached_property
    def digest(self) -> str:
        """A hash of all names and versions."""
        listed = sorted((package.name, package.version_text) for package in self)
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    def owners(self, name: NormalizedName) -> list[tuple[InstalledPackage, Requirement]]:
        """Return who requires a package here, and how: the installed packages, sorted by name."""
        found = []
        for package in sorted(self, key=lambda package: package.name):
            if package.any_version:
                continue
            for requirement in package.requirements():
                if canonicalize_name(requirement.name) == name and holds(requirement):
                    found.append((package, requirement))
        return found


def admits(requirement: Requirement, package: InstalledPackage) -> bool:
    """Whether a requirement is content with an installed package's version."""
    if package.any_version:
        return True
    if requirement.url is not None:
        return False
    if package.version is None:
        return not requirement.specifier
    return requirement.specifier.contains(package.version, prereleases=True)


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []


def _packages_in(folder: str) -> dict[NormalizedName, InstalledPackage]:
    packages: dict[NormalizedName, InstalledPackage] = {}
    for name in sorted(_listing(folder)):
        package = _package(folder, name)
        if package is not None:
            other = packages.get(package.name)
            packages[package.name] = package if other is None else _real_one(other, package)
    return packages


def _package(folder: str, entry: str) -> InstalledPackage | None:
    stem, dot, suffix = entry.rpartition(".")
    # pip renames what it could not remove: `~ame-1.0.dist-info`.
    if not dot or suffix not in ("dist-info", "egg-info") or stem.startswith(("~", ".")):
        return None
    if suffix == "egg-info":
        stem = _EGG_PYTHON.sub("", stem)
    name, _, version = stem.partition("-")
    parsed, path = _version(version), Path(folder, entry)
    if parsed is None:
        recorded = _metadata(path)
        name, parsed = recorded.get("Name") or name, _version(recorded.get("Version") or "")
    return InstalledPackage(canonicalize_name(name), parsed, path)


def _metadata(path: Path) -> Message:
    """Return the recorded fields; a record without any, as an interrupted installation leaves it, has none."""
    recorded = Distribution.at(path)
    texts = (recorded.read_text(name) for name in ("METADATA", "PKG-INFO", ""))
    return message_from_string(next((text for text in texts if text), ""))


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _real_one(one: InstalledPackage, other: InstalledPackage) -> InstalledPackage:
    """Of two records of a package in one folder return the one that is whole, or else the newer."""

    def rank(package: InstalledPackage) -> tuple[bool, Version]:
        return (package.folder / "METADATA").exists(), package.version or Version("0")

    return max(one, other, key=rank)


def holds(requirement: Requirement) -> bool:
    """Whether a requirement of a package counts here, no extra of the package being asked for."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})
