"""Steps that may be done to a list of rows at once."""

from __future__ import annotations

from typing import Any

from nilus.runtime.engine.internals.resources import IncrementalResourceWrapper
from nilus.runtime.rows.reading.incremental import Cursor
from nilus.runtime.rows.reading.window import Window
from nilus.runtime.rows.steps.column_names import OneName
from nilus.runtime.rows.steps.frame_columns import FrameColumns
from nilus.runtime.rows.steps.last_step import LastStep
from nilus.runtime.rows.steps.sets_to_lists import SetsToLists
from nilus.runtime.rows.steps.type_hints import CastFrames

_OWN_MODULES = "nilus.runtime."


def takes_lists(step: Any) -> bool:
    """Tell whether a step does to a list what it does to each of its rows, unseen by the source."""
    if isinstance(step, IncrementalResourceWrapper):
        step = step.incremental
        if step is None:
            return True
    # A cursor of its own moves with each row, and the source may look at it.
    return isinstance(step, (Window, Cursor)) or type(step).__module__.startswith(_OWN_MODULES)


def leaves_alone(step: Any, following: list[tuple[int, Any]]) -> bool:
    """Tell whether a step can be left out, since whoever writes the rows does it, and no step before looks at them."""
    if isinstance(step, IncrementalResourceWrapper) and step.incremental is None:
        return True
    if isinstance(step, CastFrames):
        return True
    return isinstance(step, SetsToLists) and all(_sees_no_sets(other) for _, other in following)


def _sees_no_sets(step: Any) -> bool:
    if isinstance(step, LastStep):
        return all(isinstance(change, (OneName, FrameColumns)) for change in step.changes)
    return isinstance(step, (SetsToLists, CastFrames)) or (
        isinstance(step, IncrementalResourceWrapper) and step.incremental is None
    )
