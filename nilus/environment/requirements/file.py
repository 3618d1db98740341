"""`requirements.txt`: what a source asks for, and what it may not ask for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from nilus.environment.requirements import addresses
from nilus.environment.requirements.lines import (
    LineError,
    Origin,
    lines_of,
    redact_part,
    split_option,
    split_requirement,
)
from nilus.errors import DependencyError

FILE_NAME = "requirements.txt"

_HASH = re.compile(r"(sha256|sha384|sha512):[0-9a-f]+")
_VARIABLE = re.compile(r"\$\{[A-Za-z0-9_]+\}")
_LONG_NUMBER = re.compile(r"[0-9]{201}")  # Python refuses to read 4,301; a hash has 128 at most
_MOST_FILES = 200
_MOST_PROBLEMS = 100


@dataclass(frozen=True)
class RequirementLine:
    """One requirement, or one constraint.

    Args:
        text: it on one line, without marker and hashes; an address in it is absolute.
        origin: where it stands.
        requirement: it, parsed; None for an address without a name.
        hashes: `sha256:…` and the like: one of them the archive must have, if there are any.
    """

    text: str
    origin: Origin
    requirement: Requirement | None
    hashes: frozenset[str] = frozenset()

    @property
    def name(self) -> NormalizedName | None:
        """The package's name in its normal form; None for an address without a name."""
        return canonicalize_name(self.requirement.name) if self.requirement else None


@dataclass(frozen=True)
class Requirements:
    """What the files say, for this interpreter: lines whose markers do not hold here are left out.

    Args:
        file: the first file's path in the repository.
        wanted: the requirements, in their order.
        constraints: what holds for a package only if something asks for it.
        options: lines for uv, where options are allowed at all.
    """

    file: str
    wanted: tuple[RequirementLine, ...] = ()
    constraints: tuple[RequirementLine, ...] = ()
    options: tuple[str, ...] = ()


def read(
    base_dir: Path, checkout: Path, *, allow_direct: bool = False, markers: Mapping[str, str] | None = None
) -> Requirements | None:
    """Read the `requirements.txt` of a source, with the files it includes.

    Args:
        base_dir: the folder of the source's modules.
        checkout: the repository's root; nothing outside is read.
        allow_direct: let addresses, and the options uv knows, through.
        markers: what environment markers mean; None for what they mean to the interpreter that runs this.

    Returns:
        What they say, or None if there is no such file.

    Raises:
        DependencyError: lines that make no sense or are not allowed; all of them in one error.
    """
    path = base_dir / FILE_NAME
    if not path.exists() and not path.is_symlink():
        return None
    reader = _Reader(checkout.resolve(), allow_direct, dict(markers or {}))
    name = reader.name_of(path)
    try:
        reader.include(path, name, (), reader.wanted)
    except LineError as refused:
        reader.problems.append((Origin(name, 1), refused))
    if reader.problems:
        raise _error(reader.problems)
    return Requirements(name, tuple(reader.wanted), tuple(reader.constraints), tuple(reader.options))


def _error(problems: list[tuple[Origin, LineError]]) -> DependencyError:
    lines = "a line that is" if len(problems) == 1 else f"{len(problems)} lines that are"
    return DependencyError(
        f"The source's requirements have {lines} not allowed here, or cannot be understood.",
        expected="lines such as `name`, `name>=1.2`, `name[extra]==1.2 ; python_version < '3.13'`",
        found="\n".join(f"{origin}: {refused.found}" for origin, refused in problems),
        remedy=" ".join(dict.fromkeys(refused.remedy for _, refused in problems)),
    )


@dataclass
class _Reader:
    root: Path
    allow_direct: bool
    markers: dict[str, str]
    wanted: list[RequirementLine] = field(default_factory=list)
    constraints: list[RequirementLine] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    problems: list[tuple[Origin, LineError]] = field(default_factory=list)
    files: int = 0

    def name_of(self, path: Path) -> str:
        """Return a file's path in the repository; links in its last part are left as they are."""
        folder = path.parent.resolve()
        return (folder.relative_to(self.root) / path.name if folder.is_relative_to(self.root) else path).as_posix()

    def include(self, path: Path, name: str, chain: tuple[Path, ...], into: list[RequirementLine]) -> None:
        """Read one file, after checking that it may be read.

        Raises:
            Refused: it may not.
        """
        self.files += 1
        if self.files > _MOST_FILES:
            raise LineError(f"more than {_MOST_FILES} files that are included", "Include each file once.")
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self.root):
            raise LineError("a file that is not in the repository", "Keep all requirements in the repository.")
        if real in chain:
            raise LineError(f"{name} includes itself", "Remove the line that closes the circle.")
        if not real.exists():
            raise LineError(f"there is no file {name}", "Correct the path: it starts at the file it stands in.")
        for origin, text in lines_of(real, name):
            try:
                self._line(origin, text, (*chain, real), into)
            except LineError as refused:
                self.problems.append((origin, refused))

    def _line(self, origin: Origin, text: str, chain: tuple[Path, ...], into: list[RequirementLine]) -> None:
        if len(self.problems) >= _MOST_PROBLEMS:
            return
        if _LONG_NUMBER.search(text):
            raise LineError("a number of more than 200 digits", "Correct the version.")
        variable = _VARIABLE.search(text)
        if variable:
            raise LineError(f"the variable {variable.group()}", "Write out what is meant: variables are not filled in.")
        if text.startswith("-"):
            self._option(origin, *split_option(text), chain)
        else:
            self._requirement(origin, text, chain[-1], into)

    def _option(self, origin: Origin, option: str, value: str, chain: tuple[Path, ...]) -> None:
        path = chain[-1]
        if option in ("--requirement", "--constraint"):
            if not value or addresses.is_remote(value):
                raise LineError(f"{option} {redact_part(value)}".strip(), "Name a file of the repository behind it.")
            target = path.parent / value
            into = self.wanted if option == "--requirement" else self.constraints
            self.include(target, self.name_of(target), chain, into)
        elif option == "--editable":
            text = addresses.editable(value, path, self.root, allowed=self.allow_direct)
            self.wanted.append(RequirementLine(text, origin, None))
        else:
            self.options.append(addresses.option(option, value, path, self.root, allowed=self.allow_direct))

    def _requirement(self, origin: Origin, text: str, path: Path, into: list[RequirementLine]) -> None:
        written, options = split_requirement(text)
        hashes = frozenset(_hash(option, value) for option, value in options)
        if addresses.is_address(written):
            address = addresses.address(written, path, self.root, allowed=self.allow_direct)
            into.append(RequirementLine(address, origin, None, hashes))
            return
        try:
            requirement = Requirement(written)
        except InvalidRequirement as problem:
            reason = str(problem).partition("\n")[0].strip().rstrip(".")
            raise LineError(f"{redact_part(written)}: {reason}", "Correct the line.") from None
        if requirement.marker is not None and not requirement.marker.evaluate({**self.markers, "extra": ""}):
            return
        if requirement.url is not None:
            requirement.url = addresses.address(requirement.url, path, self.root, allowed=self.allow_direct)
        requirement.marker = None
        into.append(RequirementLine(str(requirement), origin, requirement, hashes))


def _hash(option: str, value: str) -> str:
    if option != "--hash":
        raise LineError(f"the option {option}", f"Leave {option} out: how packages are built, the deployment decides.")
    if not _HASH.fullmatch(value):
        raise LineError(f"the hash {redact_part(value)}", "Write hashes as --hash=sha256:<hexadecimal digits>.")
    return value
