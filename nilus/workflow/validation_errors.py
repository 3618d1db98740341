"""pydantic's errors in the words of a workflow's author, and all of them in one `WorkflowError`."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nilus.errors import WorkflowError
from nilus.values.redaction import redact_value
from nilus.workflow.document_reader import Location

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def lines_of(error: ValidationError, path: Callable[[Location], str]) -> list[str]:
    """Return one line for each problem in `error`: its path, what was expected, what was found.

    Args:
        error: what pydantic raised.
        path: says how the author spelled a location.
    """
    return [f"{path(details['loc'])}: {_explain(details)}" for details in error.errors(include_url=False)]


def workflow_error(lines: list[str]) -> WorkflowError:
    """Return the error that lists `lines`."""
    count = "a problem" if len(lines) == 1 else f"{len(lines)} problems"
    listed = "\n".join(f"  {line}" for line in lines)
    return WorkflowError(
        f"The workflow has {count}:\n{listed}",
        remedy="Correct each key at the path given; in text of YAML, quote a value that is not taken as it was meant.",
    )


def _explain(details: ErrorDetails) -> str:
    found = details["input"]
    if details["type"] == "missing":
        return "missing"
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    context = details.get("ctx", {})
    if details["type"] == "greater_than_equal":
        expected = f"at least {context['ge']}"
    elif details["type"] == "greater_than":
        expected = f"more than {context['gt']}"
    elif details["type"] in _EXPECTED:
        expected = _EXPECTED[details["type"]]
    else:
        return details["msg"]
    return f"expected {expected}, found {redact_value(found)}"
