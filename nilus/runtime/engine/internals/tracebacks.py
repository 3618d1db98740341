"""What dlt was doing when it failed, from the frames of a traceback: its exceptions do not say."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, ModuleType

from dlt.common import versioned_state
from dlt.common.data_writers import buffered
from dlt.common.data_writers.buffered import BufferedDataWriter


def was_writing_state(errors: Iterable[BaseException]) -> bool:
    """Tell whether dlt was making text of a state."""
    return any(_frames(errors, versioned_state))


def table_being_written(errors: Iterable[BaseException]) -> str:
    """Return the table whose rows were being written, or an empty string.

    Args:
        errors: an exception and those that it was raised from.
    """
    for frame in _frames(errors, buffered):
        writer = frame.f_locals.get("self")
        if isinstance(writer, BufferedDataWriter):
            return Path(writer.file_name_template).name.partition(".")[0]
    return ""


def _frames(errors: Iterable[BaseException], module: ModuleType) -> Iterator[FrameType]:
    """Yield the frames that the errors went through and that run code of a module."""
    for error in errors:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") == module.__name__:
                yield frame
