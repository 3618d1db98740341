"""What running a source needs beside the source's own requirements: dlt, the sink's driver, what else nilus imports.

It is read from the metadata of the installed package, so it is stated in one place.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from nilus.errors import DependencyError
from nilus.values.address import Address
from nilus.values.schemes import TABLE_FORMAT_EXTRAS, scheme_of

OURS = "airflow-provider-nilus"

# What the worker's side of us uses and the child never imports. The source may bring any version of these.
_WORKERS = frozenset(("gitpython", "pydantic", "pyyaml", "rich", "typer", "uv"))
_AIRFLOW = "apache-airflow"

_SAMPLES = ("0", "99999")


def extras_of(*addresses: str | None) -> tuple[str, ...]:
    """Return the extras of our package that hold the drivers for a sink.

    Args:
        addresses: the sink's address, without `dataos://`, and that of its staging bucket if there is one.
    """
    found = set()
    for address in filter(None, addresses):
        scheme = scheme_of(address)
        found.add(scheme.extra if scheme else None)
        found.add(TABLE_FORMAT_EXTRAS.get(Address.parse(address).parameters.get("table_format", "")))
    return tuple(sorted(filter(None, found)))


@dataclass(frozen=True)
class RuntimeNeeds:
    """What an environment has to hold so that a source can be run in it.

    Args:
        requirements: for the interpreter they were read for; without markers.
        requires_python: which versions of Python nilus works with.
    """

    requirements: tuple[Requirement, ...]
    requires_python: str

    def contradicted_by(self, requirement: Requirement) -> Requirement | None:
        """Return one of these requirements that no version fulfils together with another requirement, or None."""
        for needed in self.requirements:
            if canonicalize_name(needed.name) == canonicalize_name(requirement.name) and (
                requirement.url is not None or not _overlap(needed.specifier, requirement.specifier)
            ):
                return needed
        return None


def runtime_needs(extras: Iterable[str], markers: Mapping[str, str] | None = None) -> RuntimeNeeds:
    """Return what the installed version of this package needs to run sources.

    dlt is the worker's, to the last digit; where the worker has none, or one that nilus does not work with, any that
    nilus works with.

    Args:
        extras: of our package, see `extras_of`.
        markers: what environment markers mean; None for what they mean to the interpreter that runs this.

    Raises:
        DependencyError: this package is not installed, only importable.
    """
    ours = _ours()
    found: dict[str, Requirement] = {}
    for extra in ("", *extras):
        for text in ours.requires or ():
            # Two of a hundred lines count: the others need not be parsed to know that.
            if ("extra ==" in text) != bool(extra) or extra not in text:
                continue
            requirement = Requirement(text)
            if not _is_workers(requirement) and _holds(requirement, extra, markers):
                requirement.marker = None
                found.setdefault(str(requirement), requirement)
    installed = _installed_dlt()
    pinned = (Requirement(f"dlt=={installed}"),) if _works_with(installed) else ()
    return RuntimeNeeds((*found.values(), *pinned), str(ours.metadata["Requires-Python"] or ""))


def check_worker() -> None:
    """Check that sources can run on the worker's own dlt.

    Raises:
        DependencyError: the worker has none, or one that nilus does not work with.
    """
    installed = _installed_dlt()
    if not _works_with(installed):
        raise DependencyError(
            "The worker's dlt is not one that nilus works with.",
            expected=f"dlt{_dlt_needed().specifier} beside this package",
            found=f"dlt {installed}" if installed else "no dlt",
            remedy='Install it into the image of the workers; or set environment="isolated", which brings its own dlt.',
        )


def _works_with(dlt: str | None) -> bool:
    return dlt is not None and _dlt_needed().specifier.contains(dlt, prereleases=True)


def _installed_dlt() -> str | None:
    try:
        return distribution("dlt").version
    except PackageNotFoundError:
        return None


@functools.cache
def _dlt_needed() -> Requirement:
    lines = (text for text in _ours().requires or () if text.startswith("dlt") and "extra ==" not in text)
    return next(found for found in map(Requirement, lines) if found.name == "dlt")


def _ours() -> Distribution:
    try:
        return distribution(OURS)
    except PackageNotFoundError:
        raise DependencyError(
            f"It is not known what sources need: {OURS} is not installed.",
            expected=f"the metadata of {OURS}, which say what an environment has to hold",
            found="no such package beside this Python",
            remedy="Install airflow-provider-nilus into the image of the workers with pip or uv.",
        ) from None


def _is_workers(requirement: Requirement) -> bool:
    name = canonicalize_name(requirement.name)
    return name in _WORKERS or name.startswith(_AIRFLOW)


def _holds(requirement: Requirement, extra: str, markers: Mapping[str, str] | None) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**(markers or {}), "extra": extra})


def _overlap(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether some version is in both: those they name are tried, and one behind each of them."""
    named = [specifier.version.removesuffix(".*") for specifier in (*one, *other)]
    samples = [sample for text in named for sample in _versions_around(text)]
    both = one & other
    return any(both.contains(sample, prereleases=True) for sample in (*samples, *_SAMPLES))


@functools.cache
def _versions_around(text: str) -> tuple[str, ...]:
    try:
        version = Version(text)
    except InvalidVersion:
        return (text,)
    return (
        text,
        f"{version.public}.1" if version.pre is None and version.post is None else f"{version.base_version}.1",
    )
