"""What dlt counts while it works, and what it calls its steps."""

from __future__ import annotations

from typing import Final

from dlt.common.runtime.collector_base import Collector

__all__ = ["NOT_TABLES", "Collector", "is_load", "step_name"]

NOT_TABLES: Final = frozenset({"Resources", "Files", "Items", "Jobs"})
"""The counters that are not those of a table; `Jobs` counts load jobs."""


def step_name(step: str) -> str:
    """Return the step's name out of dlt's title: `Extract orders` becomes `extract`."""
    return step.split(" ", 1)[0].lower()


def is_load(step: str) -> bool:
    """Tell whether a title is that of the step that loads."""
    return step.startswith("Load")
