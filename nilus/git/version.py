"""The version of this machine's git: whether we can work with it, and which holes it has."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

from nilus.errors import RepositoryError
from nilus.git import program
from nilus.programs.deadline import Deadline

# GIT_CONFIG_COUNT, by which the configuration is given, came with 2.31.
_OLDEST = (2, 31)
# CVE-2025-48384 and those fixed with it: per release line, the first version without them.
_PATCHED = {
    (2, 43): 7,
    (2, 44): 4,
    (2, 45): 4,
    (2, 46): 4,
    (2, 47): 3,
    (2, 48): 2,
    (2, 49): 1,
    (2, 50): 1,
}


def check_git() -> str:
    """Return the version of this machine's git, if it is one we can work with.

    Raises:
        RepositoryError: there is no git, or it is too old; the remedy names the package.
    """
    return ".".join(map(str, check_version(program.find_git())))


@functools.cache
def check_version(git: str) -> tuple[int, ...]:
    """Return git's version; ask once for each path.

    Raises:
        RepositoryError: it is too old to be run safely.
    """
    environ = {"PATH": os.environ.get("PATH", ""), "HOME": "/dev/null", "LC_ALL": "C.UTF-8"}
    result = program.run([git, "version"], folder=Path("/"), environ=environ, deadline=Deadline(30))
    match = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", result.output)
    version = tuple(int(part or 0) for part in match.groups()) if match else ()
    if version < _OLDEST:
        raise RepositoryError(
            f"The git at {git} is too old, or no git.",
            expected=f"version {'.'.join(map(str, _OLDEST))} or newer",
            found=result.output.decode("utf-8", "backslashreplace").strip()[:200] or f"exit status {result.status}",
            remedy=program.NO_GIT,
        )
    return version


def is_patched(version: tuple[int, ...]) -> bool:
    """Whether a version of git has the fixes of 2025 for hostile submodules (CVE-2025-48384).

    A distribution may have put them into an older version; that cannot be told from the number.
    """
    line = version[:2]
    return line > max(_PATCHED) or (line in _PATCHED and version[2] >= _PATCHED[line])
