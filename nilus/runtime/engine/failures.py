"""dlt's exceptions, said in our words: which resource or table, which file and line, what to do."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.exceptions import TerminalException
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError
from dlt.extract.exceptions import PipeException
from dlt.extract.incremental.exceptions import (
    IncrementalCursorInvalidCoercion,
    IncrementalCursorPathHasValueNone,
    IncrementalCursorPathMissing,
)
from dlt.load.exceptions import LoadClientJobException
from dlt.normalize.exceptions import NormalizeJobFailed
from dlt.pipeline.exceptions import PipelineStepFailed

from nilus.errors import DestinationError, NilusError, SourceError
from nilus.runtime.engine import destination_remedies, endings
from nilus.runtime.engine.internals.tracebacks import table_being_written, was_writing_state
from nilus.values.secret_texts import blank, cut

_MESSAGE_LIMIT = 4_000


@dataclass(frozen=True)
class Where:
    """Where a run reads and writes, as messages name it.

    Attributes:
        checkout: root of the checkout.
        destination: the sink's address as it may be shown.
        secrets: texts that no message may hold.
        refusals: what the destination says when another try cannot help.
        hides_rows: columns are masked, so that no message may hold what is in a row before that.
    """

    checkout: Path
    destination: str
    secrets: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    hides_rows: bool = False


@contextmanager
def explain_failures(where: Where) -> Iterator[None]:
    """Turn what is raised inside, by a step of dlt or by the destination itself, into an error of ours.

    Raises:
        SourceError: extracting or normalizing failed.
        DestinationError: the destination could not be reached, read or loaded into.
    """
    try:
        yield
    except NilusError:
        raise
    except PipelineStepFailed as error:
        said = _without_secrets(_step_error(error, where), where.secrets)
        raise said from (None if _holds_row(error, where) else error)
    except SystemExit as error:
        raise _without_secrets(endings.explain(error), where.secrets) from error
    except Exception as error:
        raise _without_secrets(_destination_error(error, where), where.secrets) from error


def chain(error: BaseException) -> list[BaseException]:
    """Return the error and what it was raised from, outermost first; dlt keeps the inner one in `exception` too."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        current = todo.pop(0)
        if isinstance(current, BaseException) and all(current is not one for one in found):
            found.append(current)
            context = None if current.__suppress_context__ else current.__context__
            todo += [getattr(current, "exception", None), current.__cause__ or context]
    return found


def is_of_job(errors: Sequence[BaseException]) -> bool:
    """Tell whether it was a load job that failed, and not what comes before the first one."""
    return any(isinstance(error, LoadClientJobException) for error in errors)


def place(error: BaseException, checkout: Path) -> str:
    """Return `file:line` of the innermost frame inside the checkout, or an empty string."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(checkout):
            return f"{path.relative_to(checkout)}:{frame.lineno}"
    return ""


def _step_error(error: PipelineStepFailed, where: Where) -> NilusError:
    errors = chain(error)
    for inner in errors:
        if isinstance(inner, NilusError):
            return inner
    if error.step == "extract":
        return _extract_error(errors, where.checkout, is_row_hidden=_holds_row(error, where))
    if error.step == "normalize":
        return _normalize_error(errors)
    return _destination_error(error, where)


def _holds_row(error: PipelineStepFailed, where: Where) -> bool:
    """Tell whether the texts of a failed step may hold a row that must not be seen: those of dlt and of validators do.

    What the source's own code raised is its author's to word.
    """
    if not where.hides_rows or error.step != "extract":
        return False
    errors = chain(error)
    if any(isinstance(inner, NilusError) for inner in errors):
        return False
    return not any(place(inner, where.checkout) for inner in errors if not type(inner).__module__.startswith("dlt."))


def _extract_error(errors: list[BaseException], checkout: Path, *, is_row_hidden: bool = False) -> SourceError:
    resource = next((inner.pipe_name for inner in errors if isinstance(inner, PipeException)), None)
    who = f"Resource {resource!r}" if resource else "The source"
    for cursor in errors:
        what = _cursor_fault(cursor)
        if what:
            return SourceError(
                f"{who}: its cursor does not fit its rows",
                expected="a value in the cursor's column in every row, all of the type the cursor has",
                found=what,
                remedy="correct incremental-key or the rows, or give the resource an incremental of its own that says "
                "what to do (on_cursor_value_missing); a cursor of another type is left behind by full-refresh",
            )
    inner = _source_s_own(errors, checkout)
    at = place(inner, checkout)
    if resource is None and not at and not isinstance(inner, OSError) and not is_row_hidden:
        return _unwritable(inner, errors)
    text = f"{type(inner).__name__}, whose text may hold values that are masked" if is_row_hidden else _text(inner)
    return SourceError(
        f"{who} failed{f' at {at}' if at else ''}: {text}",
        expected="the source to yield its rows",
        found=type(inner).__name__,
        remedy="see the traceback above; correct the source, or run the task again if its upstream was unavailable",
        retryable=not isinstance(inner, ConfigurationException),
    )


def _unwritable(error: BaseException, errors: list[BaseException]) -> SourceError:
    """Return the error for what the source gave and dlt could not write: no code of the source was running then."""
    if was_writing_state(errors):
        return SourceError(
            f"The source's state cannot be kept: {_text(error)}",
            expected="values that are JSON, or datetime, date, time, Decimal or bytes",
            found=type(error).__name__,
            remedy="keep such values only in resource_state() and source_state()",
        )
    table = table_being_written(errors)
    return SourceError(
        f"The rows{f' of table {table!r}' if table else ''} cannot be written: {_text(error)}",
        expected="values of types that dlt knows, the same type for a column in all tables that are yielded",
        found=type(error).__name__,
        remedy="convert the values before they are yielded",
    )


def _cursor_fault(error: BaseException) -> str:
    """Say what is wrong with a cursor's column; dlt's own texts hold the row."""
    if isinstance(error, IncrementalCursorPathMissing):
        return f"a row without {error.json_path!r}"
    if isinstance(error, IncrementalCursorPathHasValueNone):
        return f"a row with None in {error.json_path!r}"
    if isinstance(error, IncrementalCursorInvalidCoercion):
        return (
            f"a cursor of type {type(error.cursor_value).__name__}, and a row with {_kind(error.item)} in "
            f"{error.cursor_path!r}"
        )
    return ""


def _kind(value: object) -> str:
    # What dlt says instead of a value where a whole column was compared.
    return "a column of another type" if value == "<arrow column>" else f"a value of type {type(value).__name__}"


def _source_s_own(errors: list[BaseException], checkout: Path) -> BaseException:
    """Return the exception the source itself met: the first that is not dlt's and touches the checkout, or the last."""
    for inner in errors:
        if not type(inner).__module__.startswith("dlt.") and place(inner, checkout):
            return inner
    return _root(errors)


def _normalize_error(errors: list[BaseException]) -> SourceError:
    job = next((inner for inner in errors if isinstance(inner, NormalizeJobFailed)), None)
    inner = _root(errors)
    if inner is job and job.__context__ is not None:
        inner = _root([job.__context__])
    # The file that dlt names is the one it read last: what is written may be another table's, kept until the end.
    table = table_being_written(errors) or (job.job_id.partition(".")[0] if job else "")
    return SourceError(
        f"The extracted rows{f' of table {table!r}' if table else ''} cannot be normalized: {_text(inner)}",
        expected="rows that fit the table's schema and its contract",
        found=type(inner).__name__,
        remedy="correct the rows, the column hints or the schema contract; nothing was loaded",
    )


def _root(errors: Sequence[BaseException]) -> BaseException:
    """Return what it all was raised from on purpose: what merely happened before does not count."""
    current = errors[0]
    while True:
        inner = getattr(current, "exception", None) or current.__cause__
        # What pyiceberg raises holds the catalog's own words; what it is raised from, the HTTP status alone.
        if not isinstance(inner, BaseException) or type(current).__module__.startswith("pyiceberg."):
            return current
        current = inner


def _destination_error(error: BaseException, where: Where) -> DestinationError:
    errors = chain(error)
    job = next((inner for inner in errors if isinstance(inner, LoadClientJobException)), None)
    said = _said_by_destination(errors)
    retryable = _can_retry(errors, said, where.refusals)
    what = f"Loading into {where.destination} failed"
    found = ""
    if job is not None:
        table = job.job_id.partition(".")[0]
        what = f"A load job of table {table!r} failed"
        found = f"job {job.job_id}"
    elif any(isinstance(inner, DestinationConnectionError) for inner in errors) or _is_sync(error):
        what = f"{where.destination} cannot be reached or read"
    return DestinationError(
        f"{what}: {said}",
        expected=f"every load job to reach {where.destination}" if job else f"a load into {where.destination}",
        found=found,
        remedy=destination_remedies.remedy(said, retryable=retryable, is_job=job is not None),
        retryable=retryable,
    )


def _is_sync(error: BaseException) -> bool:
    return isinstance(error, PipelineStepFailed) and error.step == "sync"


def _said_by_destination(errors: list[BaseException]) -> str:
    """Return the destination's own message: the driver's, where dlt wrapped it."""
    for inner in errors:
        if isinstance(inner, DatabaseException):
            return _message(inner.dbapi_exception)
        if isinstance(inner, DestinationConnectionError):
            return _message(inner.inner_exc)
        if isinstance(inner, ConfigurationException):
            return _message(inner)
    job = next((inner for inner in errors if isinstance(inner, LoadClientJobException)), None)
    if job is not None and isinstance(job.client_exception, BaseException):
        return _text(job.client_exception)
    return _text(_root(errors))


def _can_retry(errors: list[BaseException], said: str, refusals: Sequence[str]) -> bool:
    if any(isinstance(inner, TerminalException | ConfigurationException) for inner in errors):
        return False
    return destination_remedies.can_retry(said, refusals)


def _without_secrets(error: NilusError, secrets: Sequence[str]) -> NilusError:
    return type(error)(
        cut(blank(error.message, secrets), _MESSAGE_LIMIT),
        expected=blank(error.expected, secrets),
        found=blank(error.found, secrets),
        remedy=error.remedy,
        retryable=error.retryable,
    )


def _message(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip()}"
