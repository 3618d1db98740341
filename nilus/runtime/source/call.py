"""Calls a custom source and returns the one dlt source that its run loads."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from dlt.extract import DltSource

from nilus.custom_source import CustomSource
from nilus.errors import SourceError, WorkflowError
from nilus.protocol.job import Job
from nilus.runtime.engine.source_failures import explain_failures
from nilus.runtime.source import returned_value, selection
from nilus.runtime.source.class_finder import FoundClass
from nilus.values import address
from nilus.values.address import Address
from nilus.values.spelling import snake

log = logging.getLogger(__name__)

_ENTRY_POINTS = ("nilus_source", "dlt_source")
_SQL_OPTIONS = ("sql_backend", "sql_reflection_level", "sql_limit", "sql_exclude_columns")


def call(
    found: FoundClass,
    job: Job,
    *,
    interval: tuple[datetime | None, datetime | None] | None,
    environ: Mapping[str, str],
) -> DltSource:
    """Call `nilus_source` (or `dlt_source`) of the class and make one source of what comes back.

    The source gets the address as it is written, with `{NAME}` and `${NAME}` filled in from `environ`. Of the options
    it gets all if it takes `**kwargs`, else those it names; one that has no value does not displace the default of a
    parameter. A parameter of the address behind the question mark is given to a parameter of that name, if the workflow
    has no such option.

    Args:
        found: the class.
        job: its options, and the resources to select.
        interval: start and end of what is to be read, aware; None where there is none.
        environ: the environment given to the source.

    Returns:
        A source whose selected resources are `job.options.resources`, or what the source itself selects.

    Raises:
        SourceError: the class has no entry point, wants an argument nobody gives, raised, returned what is no source,
            or has no such resource; it names class, file and remedy, and is retryable if the source itself raised.
        WorkflowError: an option has the name of an argument that is not an option; the address names a variable that
            `environ` does not have.
    """
    values = _values(found, job, interval, environ)
    name = _entry_point(found)
    who = f"{found.class_name}.{name} ({_place_of(found, name)})"

    parameters = {snake(name): value for name, value in Address.parse(values["uri"]).parameters.items()}
    _warn_of_bases(found)

    def invoke(function: Callable[..., Any]) -> Any:
        args, kwargs = _arguments(function, {**_name_parameters(function, parameters), **values}, who)
        return function(*args, **kwargs)

    with explain_failures(who, found.checkout):
        function = getattr(found.instance(), name)
        _warn_of_unused(function, job.source.options, who)
        source = returned_value.as_source(invoke(function), found, who=who, invoke=invoke)
        selection.select(source, job.options.resources, who=who)
        selection.prepare(source, who=who)
    return source


def _entry_point(found: FoundClass) -> str:
    """Return the name of the method to call: what the class nearest to `found.cls` in its line of bases defines."""
    for cls in found.cls.__mro__:
        if cls is not CustomSource:
            for name in _ENTRY_POINTS:
                if name in vars(cls):
                    return name
    raise SourceError(
        f"{found} defines neither nilus_source nor dlt_source",
        expected="a method nilus_source(self, uri, table, **kwargs) that returns a source or resources",
        found="neither",
        remedy=f"define nilus_source in {found.class_name}",
    )


def _place_of(found: FoundClass, name: str) -> str:
    """Return file and line of the method, relative to the checkout; the class's file where they cannot be told."""
    code = getattr(inspect.unwrap(getattr(found.cls, name)), "__code__", None)
    if code is None or not Path(code.co_filename).is_relative_to(found.checkout):
        return found.file
    return f"{Path(code.co_filename).relative_to(found.checkout).as_posix()}:{code.co_firstlineno}"


def _values(
    found: FoundClass,
    job: Job,
    interval: tuple[datetime | None, datetime | None] | None,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    source = job.source
    incremental_key = source.incremental_key
    if incremental_key is not None and found.handles_incrementality:
        log.warning(
            "%s handles incrementality itself: incremental-key %r of the workflow is ignored", found, incremental_key
        )
        incremental_key = None
    start, end = interval or (None, None)
    reserved = {"uri", "table"} & source.options.keys()
    if reserved:
        raise WorkflowError(
            f"source.options has {' and '.join(sorted(reserved))}, which is not an option",
            expected="options by other names",
            found=", ".join(sorted(reserved)),
            remedy="the source gets its address as `uri` and source-table as `table`; rename the option",
        )
    return {
        "uri": _uri(source.address, environ),
        "table": source.table,
        "incremental_key": incremental_key,
        "primary_key": source.primary_key or None,
        "merge_key": incremental_key if job.sink.strategy == "delete+insert" else None,
        "interval_start": start,
        "interval_end": end,
        "page_size": source.page_size,
        "extract_parallelism": source.extract_parallelism,
        **dict.fromkeys(_SQL_OPTIONS),
        **source.sql,
        **source.options,
    }


def _uri(written: str, environ: Mapping[str, str]) -> str:
    folded = address.fold(written)
    if folded != written:
        log.warning("source.address spans lines or has white space around it: both are taken out")
    return address.fill(folded, environ, where="source.address")


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a callable that does not say: it gets everything
        return [inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)]


def _arguments(function: Callable[..., Any], values: Mapping[str, Any], who: str) -> tuple[list[Any], dict[str, Any]]:
    """Return what of `values` the function takes, by its signature.

    Raises:
        SourceError: it needs an argument that is not among them.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    missing: list[str] = []
    parameters = _parameters(function)
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = values.get(parameter.name)
        if value is None and parameter.default is not parameter.empty:
            value = parameter.default
        elif parameter.name not in values:
            missing.append(parameter.name)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            args.append(value)
        elif parameter.name in values and value is not parameter.default:
            kwargs[parameter.name] = value
    if missing:
        options = ", ".join(name.replace("_", "-") for name in missing)
        raise SourceError(
            f"{who} needs {', '.join(missing)}, which the workflow does not give",
            expected=f"{options} in source.options, or a parameter with a default",
            found=f"the options {', '.join(sorted(values))}",
            remedy=f"set {options} under source.options (the address is `uri`, source-table is `table`)",
        )
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        named = {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        kwargs.update({name: value for name, value in values.items() if name not in named})
    return args, kwargs


def _name_parameters(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that the function has a parameter for, by name."""
    names = {parameter.name for parameter in _parameters(function) if parameter.kind is not parameter.VAR_KEYWORD}
    return {name: value for name, value in values.items() if name in names}


def _warn_of_bases(found: FoundClass) -> None:
    if not issubclass(found.cls, CustomSource):
        log.warning(
            "%s has not the base class of custom sources: write `class %s(nilus.CustomSource)`", found, found.class_name
        )
    elif found.cls.handles_incrementality is CustomSource.handles_incrementality:
        log.info("%s does not define handles_incrementality: it is taken not to keep a cursor of its own", found)


def _warn_of_unused(function: Callable[..., Any], options: Mapping[str, Any], who: str) -> None:
    parameters = _parameters(function)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    unused = sorted(options.keys() - {parameter.name for parameter in parameters})
    if unused:
        log.warning("%s takes no **kwargs and does not name these source options: %s", who, ", ".join(unused))
