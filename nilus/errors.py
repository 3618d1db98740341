"""The tree of errors.

::

    NilusError
    ├── WorkflowError      the workflow document
    ├── RepositoryError    git, the checkout, its cache
    ├── DependencyError    requirements.txt and the environment made from it
    ├── SourceError        the custom source's class and code
    ├── DestinationError   the sink
    ├── ProcessError       the child process itself (killed, crashed)
    └── StateError         the record or the journal
        └── StateConflict  another run of the same key

An error says what was expected, what was found and what to do about it, and knows whether running
the task again can help. It crosses the process border as JSON (`as_dict`, `from_dict`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class NilusError(Exception):
    """Base of every error this project raises on purpose.

    Args:
        message: one sentence: what went wrong. No secrets.
        expected: what would have been right.
        found: what was there instead.
        remedy: what the reader should do.
        retryable: whether running the same task again can help; default is the class's `default_retryable`.
    """

    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        expected: str = "",
        found: str = "",
        remedy: str = "",
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.found = found
        self.remedy = remedy
        self.retryable = self.default_retryable if retryable is None else retryable

    def __str__(self) -> str:
        parts = [self.message.rstrip()]
        for label, text in (("Expected", self.expected), ("Found", self.found), ("What to do", self.remedy)):
            if text:
                parts.append(f"{label}: {text.strip()}")
        return "\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the error as JSON-able data for the process border."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "expected": self.expected,
            "found": self.found,
            "remedy": self.remedy,
            "retryable": self.retryable,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return (from_dict, (self.as_dict(),))


class WorkflowError(NilusError):
    """The workflow document, or an operator argument that overrides it, is wrong."""


class RepositoryError(NilusError):
    """The repository could not be materialised."""


class DependencyError(NilusError):
    """The source's requirements cannot be met beside the packages that are installed."""


class SourceError(NilusError):
    """The custom source could not be found, called, or failed while it ran."""


class DestinationError(NilusError):
    """The sink's address, credentials or load."""


class ProcessError(NilusError):
    """The child process ended without saying how."""

    default_retryable = True


class StateError(NilusError):
    """The record of a state key, or its journal, cannot be used as it is."""


class StateConflict(StateError):
    """Another run of the same state key is loading, or has loaded meanwhile."""

    default_retryable = True


_BY_NAME: dict[str, type[NilusError]] = {
    cls.__name__: cls
    for cls in (
        NilusError,
        WorkflowError,
        RepositoryError,
        DependencyError,
        SourceError,
        DestinationError,
        ProcessError,
        StateError,
        StateConflict,
    )
}


def from_dict(data: Mapping[str, Any]) -> NilusError:
    """Rebuild the error that `NilusError.as_dict` described; an unknown type becomes `NilusError`."""
    cls = _BY_NAME.get(str(data.get("type")), NilusError)
    return cls(
        str(data.get("message", "")),
        expected=str(data.get("expected", "")),
        found=str(data.get("found", "")),
        remedy=str(data.get("remedy", "")),
        retryable=bool(data.get("retryable", cls.default_retryable)),
    )
