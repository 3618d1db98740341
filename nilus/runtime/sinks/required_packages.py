"""Drivers of destinations: what is missing is named with the extra that brings it."""

from __future__ import annotations

import importlib.util

from nilus.errors import DestinationError


def require(module: str, package: str, extra: str) -> None:
    """Look for what a destination needs, without importing it.

    Args:
        module: what is imported; a dotted name looks for its packages as well.
        package: what it is called where packages are installed from.
        extra: ours that brings it.

    Raises:
        DestinationError: it is not installed.
    """
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise missing(package, extra)


def missing(package: str, extra: str) -> DestinationError:
    """Return the error for a driver that is not installed.

    Args:
        package: the driver.
        extra: ours that brings it.
    """
    return DestinationError(
        f"A package that this sink needs is not installed: {package}",
        expected=package,
        found="nothing of that name on this worker",
        remedy=f'pip install "airflow-provider-nilus[{extra}]" on the worker',
    )
