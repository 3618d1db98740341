"""dlt's exceptions, said in our words: which resource or table, which file and line, what to do."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import DestinationTerminalException, WithJobError
from dlt.extract.exceptions import PipeException
from dlt.extract.incremental.exceptions import (
    IncrementalCursorInvalidCoercion,
    IncrementalCursorPathHasValueNone,
    IncrementalCursorPathMissing,
)
from dlt.pipeline.exceptions import PipelineStepFailed

from nilus.errors import DestinationError, NilusError, SourceError

_MESSAGE_LIMIT = 2_000
_CURSOR_ERRORS = (
    IncrementalCursorPathMissing,
    IncrementalCursorPathHasValueNone,
    IncrementalCursorInvalidCoercion,
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, outermost first; dlt keeps the inner one in `exception` too."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        current = todo.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = getattr(current, "exception", None)
        todo.append(inner if isinstance(inner, BaseException) else None)
        todo.append(current.__cause__ or (None if current.__suppress_context__ else current.__context__))


def translate(error: PipelineStepFailed, *, checkout: Path, destination: str) -> NilusError:
    """Return our error for a failed step.

    Args:
        error: what dlt raised.
        checkout: root of the checkout, to say where in the source's code it happened.
        destination: the sink's address as it may be shown.
    """
    errors = list(chain(error))
    for inner in errors:
        if isinstance(inner, NilusError):
            return inner
    if error.step == "load":
        return _load_error(errors, destination)
    if error.step == "normalize":
        inner = errors[-1]
        return SourceError(
            f"The extracted rows cannot be normalized: {_text(inner)}",
            expected="rows that fit the tables' schema and its contract",
            found=type(inner).__name__,
            remedy="correct the rows, the column hints or the schema contract; nothing was loaded",
        )
    return _extract_error(errors, checkout)


def _load_error(errors: list[BaseException], destination: str) -> DestinationError:
    for inner in errors:
        message = getattr(inner, "failed_message", None)
        if isinstance(inner, WithJobError) and message:
            terminal = isinstance(inner, DestinationTerminalException)
            return DestinationError(
                f"A load job failed: {str(message).strip()[:_MESSAGE_LIMIT]}",
                expected=f"every load job to reach {destination}",
                found=f"job {getattr(inner, 'job_id', '?')}",
                remedy="see the message: it is the destination's own. What this load left is removed by the next try"
                if terminal
                else "the job was tried again several times; see the message, it is the destination's own",
                retryable=not terminal,
            )
    inner = errors[-1]
    return DestinationError(
        f"Loading failed: {_text(inner)}",
        expected=f"a load into {destination}",
        found=type(inner).__name__,
        remedy="check that the destination is reachable and its credentials are right",
        retryable=not isinstance(inner, DestinationTerminalException | ConfigurationException),
    )


def _extract_error(errors: list[BaseException], checkout: Path) -> SourceError:
    resource = next((inner.pipe_name for inner in errors if isinstance(inner, PipeException)), None)
    who = f"Resource {resource!r}" if resource else "The source"
    cursor = next((inner for inner in errors if isinstance(inner, _CURSOR_ERRORS)), None)
    if cursor is not None:
        return SourceError(
            f"{who}: the incremental-key does not fit its rows",
            expected="every row to have a value under the key that compares with the interval or the cursor",
            found=_first_line(cursor),
            remedy="correct incremental-key, or give the resource an incremental of its own that says what to do",
        )
    inner = _deepest_user_error(errors, checkout)
    where = place(inner, checkout)
    return SourceError(
        f"{who} failed{f' at {where}' if where else ''}: {_text(inner)}",
        expected="the source to yield its rows",
        found=type(inner).__name__,
        remedy="see the traceback above; correct the source, or run the task again if its upstream was unavailable",
        retryable=not isinstance(inner, ConfigurationException),
    )


def _deepest_user_error(errors: list[BaseException], checkout: Path) -> BaseException:
    """The exception the source itself met: the first that is not dlt's own and touches the checkout, or the last."""
    for inner in errors:
        if not type(inner).__module__.startswith("dlt.") and place(inner, checkout):
            return inner
    return errors[-1]


def place(error: BaseException, checkout: Path) -> str:
    """Return `file:line` of the innermost frame inside the checkout, or an empty string."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(checkout):
            return f"{path.relative_to(checkout)}:{frame.lineno}"
    return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:_MESSAGE_LIMIT]


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip()[:_MESSAGE_LIMIT]}"
