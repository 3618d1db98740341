"""requirements.txt -> the environment a source runs in, in the cache.

Shared: what is installed beside the worker's Python stays as it is, and is what everything else has to fit to. What is
missing goes into a folder that stands behind it on the path of the process that runs the source. Isolated: a virtual
environment that holds nothing of the worker's (`nilus.environment.isolation`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path

from nilus.environment import conflicts
from nilus.environment.added_packages import AddedPackages
from nilus.environment.isolation import Isolation, prepare_isolated
from nilus.environment.model import Environment, EnvironmentSettings
from nilus.environment.python.installed_packages import InstalledPackages
from nilus.environment.python.interpreter import Interpreter
from nilus.environment.python.runtime_needs import check_worker
from nilus.environment.requirements import file
from nilus.environment.requirements.file import RequirementLine
from nilus.errors import DependencyError
from nilus.programs.deadline import Deadline

_log = logging.getLogger("nilus.environment")

_MOST_TOLD = 10


def prepare(
    base_dir: Path,
    *,
    checkout: Path,
    settings: EnvironmentSettings,
    isolation: Isolation | None = None,
    timeout: float = 600.0,
) -> Environment:
    """Return what a source's `requirements.txt` asks for and this worker does not have, or all of it in isolation.

    Requirements, installed packages, interpreter and indexes that were seen before cost neither network nor a process.

    Args:
        base_dir: the folder of the source's modules, inside the checkout.
        checkout: the repository's root.
        settings: what the deployment decides.
        isolation: an environment of the source's own; None for the worker's with what is missing.
        timeout: seconds for all of it, waiting for other processes included.

    Raises:
        DependencyError: the worker's dlt is not one that nilus works with; the requirements cannot be read, are not
            allowed, contradict what is installed, or could not be resolved or installed.
    """
    if not (math.isfinite(timeout) and timeout > 0):
        raise DependencyError(
            "The timeout for the requirements is not a time.",
            expected="a number of seconds greater than 0",
            found=str(timeout),
            remedy="Correct it.",
        )
    deadline = Deadline(timeout)
    if isolation is not None:
        return prepare_isolated(base_dir, checkout, settings, isolation, deadline)
    check_worker()
    asked = file.read(base_dir, checkout, allow_direct=settings.allow_direct_requirements)
    if asked is None:
        return Environment()
    interpreter = Interpreter.current()
    installed = InstalledPackages.on(interpreter.path)
    contradictions = conflicts.direct(asked.wanted, installed)
    if contradictions:
        raise conflicts.error(contradictions, installed)
    _tell_of_met(asked.wanted, installed)
    missing = [line for line in asked.wanted if not _is_met(line, installed)]
    if not missing:
        return Environment(seconds=deadline.seconds_elapsed)
    return AddedPackages(asked, missing, settings, interpreter, deadline, installed).run()


def _is_met(line: RequirementLine, installed: InstalledPackages) -> bool:
    """Whether an installed package is all a line asks for: contradictions are sorted out before, extras need a look."""
    return line.requirement is not None and not line.requirement.extras and line.name in installed


def _tell_of_met(wanted: Iterable[RequirementLine], installed: InstalledPackages) -> None:
    told = []
    for line in wanted:
        package = installed.get(line.name)
        if package is not None and _is_met(line, installed):
            told.append(f"{line.text} ({line.origin}; installed is {package.version_text})")
    if told:
        more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        _log.info("These requirements can be dropped, the worker has them: %s%s.", ", ".join(told[:_MOST_TOLD]), more)
