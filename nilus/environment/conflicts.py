"""Where what a source asks for and what is installed contradict each other: found, and explained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from nilus.environment.python.installed_packages import InstalledPackage, InstalledPackages, admits
from nilus.environment.python.runtime_needs import RuntimeNeeds
from nilus.environment.requirements.file import RequirementLine, Requirements
from nilus.errors import DependencyError

_MOST_OWNERS = 6
# uv's explanation: "… clash==1.0 depends on requests<2.21 …", "… all versions of clash depend on requests<2.21 …".
_DEPENDS = re.compile(
    r"([A-Za-z0-9][\w.\-]*(?:\[[^\]]*\])?)\S* depends? on (?:one of:\s*)?([^\s,]+(?:,[<>=!~][^\s,]+)*)"
)
_REQUIRES = re.compile(r"\byou require ([A-Za-z0-9][\w.\-]*)")


@dataclass(frozen=True)
class Contradiction:
    """A requirement that an installed package does not fulfil.

    Args:
        requirement: what is asked for.
        package: what is installed.
        asked_by: where it stands, or which package of which line asks for it.
    """

    requirement: Requirement
    package: InstalledPackage
    asked_by: str


def direct(wanted: Iterable[RequirementLine], installed: InstalledPackages) -> list[Contradiction]:
    """Return the requirements of the source itself that contradict what is installed."""
    found = []
    for line in wanted:
        package = installed.get(line.name)
        if line.requirement is not None and package is not None and not admits(line.requirement, package):
            found.append(Contradiction(line.requirement, package, str(line.origin)))
    return found


def told_by_uv(words: str, requirements: Requirements, installed: InstalledPackages) -> list[Contradiction]:
    """Return the contradictions that uv's explanation of why there is no solution names.

    Each is checked against what is installed, so what was misread in the words is not reported.

    Args:
        words: uv's own lines.
        requirements: what the source asks for.
        installed: what is installed.
    """
    words = " ".join(words.split())
    found = {}
    for who, requirement, asked_by in _lines_of_uv(words, requirements):
        package = installed.get(canonicalize_name(requirement.name))
        if package is not None and not admits(requirement, package):
            found[who, str(requirement)] = Contradiction(requirement, package, asked_by)
    needed = {canonicalize_name(name) for name in _REQUIRES.findall(words)}
    constrained = direct((line for line in requirements.constraints if line.name in needed), installed)
    return [*found.values(), *constrained]


def _lines_of_uv(words: str, requirements: Requirements) -> Iterator[tuple[str, Requirement, str]]:
    """Yield which packages depend on what, as uv tells it, and which lines brought them."""
    for who, text in _DEPENDS.findall(words):
        for requirement in _parse(text.rstrip(".")):
            yield who, requirement, f"{who}, which {_lines(who, words, requirements)}"


def _parse(text: str) -> Iterator[Requirement]:
    try:
        yield Requirement(text)
    except InvalidRequirement:
        return


def _lines(who: str, words: str, requirements: Requirements) -> str:
    """Say which lines brought a package: its own, or those uv names as what is required."""
    name = canonicalize_name(who.partition("[")[0])
    named = {canonicalize_name(found) for found in _REQUIRES.findall(words)}
    for names in ({name}, named):
        lines = [f"{line.origin} ({line.text})" for line in requirements.wanted if line.name in names]
        if lines:
            return f"{' and '.join(lines)} {'asks' if len(lines) == 1 else 'ask'} for"
    return f"{requirements.file} needs"


def error(contradictions: Sequence[Contradiction], installed: InstalledPackages, words: str = "") -> DependencyError:
    """Return the error that explains contradictions.

    Args:
        contradictions: one or more.
        installed: what is installed, to tell who needs it.
        words: uv's own last lines, if uv found them.
    """
    first = contradictions[0]
    package = f"{first.package.name} {first.package.version_text}"
    more = f", and {len(contradictions) - 1} more" if len(contradictions) > 1 else ""
    names = list(dict.fromkeys(found.package.name for found in contradictions))
    found = [_describe_found(contradiction, installed) for contradiction in contradictions]
    return DependencyError(
        f"{first.asked_by}: {first.requirement} contradicts what is installed, {package}{more}.",
        expected="requirements that fit the packages of the worker, which stay as they are",
        found="\n".join([*found, *([f"uv says: {words}"] if words else [])]),
        remedy=_remedy(contradictions, names, installed),
    )


def _describe_found(contradiction: Contradiction, installed: InstalledPackages) -> str:
    package = contradiction.package
    owners = installed.owners(package.name)
    needed = ", ".join(f"{owner.name} ({requirement})" for owner, requirement in owners[:_MOST_OWNERS])
    if len(owners) > _MOST_OWNERS:
        needed += f" and {len(owners) - _MOST_OWNERS} more"
    return (
        f"{contradiction.asked_by}: {contradiction.requirement}; installed is {package.name} {package.version_text}, "
        + (f"needed by {needed}" if needed else "which no installed package needs")
    )


def _remedy(
    contradictions: Sequence[Contradiction], names: Sequence[NormalizedName], installed: InstalledPackages
) -> str:
    versions = {found.package.name: found.package.version_text for found in contradictions}
    fitting = " and ".join(f"{name} {versions[name]}" for name in names)
    listed = " and ".join(dict.fromkeys(str(found.requirement) for found in contradictions))
    return (
        f"Either change the source's requirements so that {fitting} will do (a package that is installed need not be "
        f"listed at all); or change the image of the workers so that {listed} is installed in it, "
        f'{_obstacle(contradictions, installed)}; or give the task an environment of its own: environment="isolated".'
    )


def _obstacle(contradictions: Sequence[Contradiction], installed: InstalledPackages) -> str:
    """Say whether those who need the installed package would let it change: known where one version is asked for."""
    against = [
        f"{owner.name} ({requirement})"
        for contradiction in contradictions
        for owner, requirement in installed.owners(contradiction.package.name)
        if any(not requirement.specifier.contains(exact, prereleases=True) for exact in _exact(contradiction))
    ]
    if against:
        return f"which {', '.join(dict.fromkeys(against[:_MOST_OWNERS]))} would not allow as it is now"
    return "if those that need it allow it"


def _exact(contradiction: Contradiction) -> list[str]:
    """Return the one version a requirement asks for, if it asks for one."""
    return [
        specifier.version
        for specifier in contradiction.requirement.specifier
        if specifier.operator in ("==", "===") and not specifier.version.endswith(".*")
    ]


def with_needs(requirements: Requirements, needs: RuntimeNeeds, words: str = "") -> DependencyError | None:
    """Return the error for requirements that contradict what nilus itself needs in every environment, or None.

    Args:
        requirements: what the source asks for.
        needs: what nilus needs.
        words: uv's own lines, if there is no solution; else the source's own requirements are looked at.
    """
    if words:
        asked = [(requirement, by) for _, requirement, by in _lines_of_uv(" ".join(words.split()), requirements)]
    else:
        asked = [(line.requirement, str(line.origin)) for line in requirements.wanted if line.requirement is not None]
    found = [(one, by, needed) for one, by in asked if (needed := needs.contradicted_by(one)) is not None]
    if not found:
        return None
    first, asked_by, needed = found[0]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    lines = [f"{by}: {one}; nilus needs {need}" for one, by, need in found]
    fitting = " and ".join(dict.fromkeys(str(need) for _, _, need in found))
    listed = " and ".join(dict.fromkeys(str(one) for one, _, _ in found))
    return DependencyError(
        f"{asked_by}: {first} contradicts what nilus itself needs, {needed}{more}.",
        expected="requirements that fit what nilus needs in every environment, in an isolated one too",
        found="\n".join([*lines, *([f"uv says: {words}"] if words else [])]),
        remedy=f"Either change the source's requirements so that {fitting} will do (what nilus needs is there anyway "
        f"and need not be listed at all); or use a release of airflow-provider-nilus that works with {listed}.",
    )
