"""What goes wrong in a source before its first row: dlt's refusals and the source's own exceptions, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlt.common.configuration.exceptions import ConfigurationException
from dlt.extract import exceptions as dlt_errors

from nilus.errors import NilusError, SourceError
from nilus.runtime.engine.failures import place

_RESOURCE_REMEDY = "yield the rows from a function decorated with @nilus.resource, and return that function's result"

# What dlt refuses, in words that say what to change. The first class that fits is taken.
_REFUSALS: list[tuple[type[Exception], str, str, str]] = [
    (
        dlt_errors.SourceDataIsNone,
        "a source function returned None",
        "a source function that returns its resources",
        "add the missing return statement: `return my_resource()`",
    ),
    (
        dlt_errors.ResourceNameMissing,
        "a source function gave rows or values instead of resources",
        "resources: functions decorated with @nilus.resource, called or not",
        _RESOURCE_REMEDY,
    ),
    (
        dlt_errors.InvalidResourceDataTypeMultiplePipes,
        "two resources have the same name, or one resource was returned twice",
        "resources that differ by name",
        "return each resource once; give a second one its own name with `resource.with_name(…)` or `name=…`",
    ),
    (
        dlt_errors.InvalidResourceDataTypeIsNone,
        "a resource got None instead of data",
        "a function that yields rows, or returns a list of them",
        "add the missing yield or return",
    ),
    (
        dlt_errors.SourceIsAClassTypeError,
        "@nilus.source decorates a class",
        "@nilus.source on a function; the class is addressed by its name and needs no decorator",
        "remove @nilus.source from the class, and return a source or resources from its nilus_source",
    ),
    (
        dlt_errors.ParametrizedResourceUnbound,
        "a resource takes arguments and got none",
        "a resource whose arguments are given",
        "call the resource with its arguments where it is returned",
    ),
    (
        dlt_errors.DltSourceException,
        "dlt refuses what the source gave it",
        "a source or resources as dlt takes them",
        "see dlt's own message above",
    ),
    (
        dlt_errors.PipeException,
        "dlt refuses a resource of the source",
        "a function that yields rows, or returns a list of them",
        "see dlt's own message above",
    ),
    (
        ConfigurationException,
        "the source asks for configuration that it was not given",
        "a value for every dlt.config.value and dlt.secrets.value of the source",
        "give it in the operator's source_env, by dlt's name for it (SOURCES__…), or pass it as an argument",
    ),
]


@contextmanager
def explain_failures(who: str, checkout: Path) -> Iterator[None]:
    """Turn what is raised inside into a SourceError.

    Args:
        who: what ran, with its file: the beginning of the message.
        checkout: the checkout's root, to say in which line of the source's code it happened.

    Raises:
        SourceError: the block raised; retryable if the exception was the source's own. Errors of this project pass
            as they are, and so does KeyboardInterrupt.
    """
    try:
        yield
    except NilusError:
        raise
    except (Exception, SystemExit) as error:
        raise explain(error, who, checkout) from error


def explain(error: BaseException, who: str, checkout: Path) -> SourceError:
    """Return our error for an exception that came out of `who`; see `explained`."""
    while isinstance(error, dlt_errors.ResourceExtractionError) and error.__cause__ is not None:
        error = error.__cause__
    where = place(error, checkout)
    at = f" at {where}" if where else ""
    for kind, fault, expected, remedy in _REFUSALS:
        if isinstance(error, kind):
            return SourceError(
                f"{who}{at}: {fault}",
                expected=expected,
                found=f"{type(error).__name__}: {str(error).strip()}",
                remedy=remedy,
            )
    remedy = "see the traceback above; correct the source, or run the task again if its upstream was unavailable"
    if isinstance(error, NameError) and error.name in ("nilus", "dlt"):
        remedy = f"add `import {error.name}` at the top of the file"
    return SourceError(
        f"{who} failed{at}: {type(error).__name__}: {str(error).strip()}",
        expected="a source that returns what is to be loaded",
        found=type(error).__name__,
        remedy=remedy,
        retryable=not isinstance(error, NameError),
    )
