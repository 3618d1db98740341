"""Code of a source that ends the process, or itself, where it should return or raise."""

from __future__ import annotations

from nilus.errors import SourceError
from nilus.values.secret_texts import cut

_CODE_LENGTH = 4_000


def explain(error: BaseException, resource: str | None = None) -> SourceError:
    """Return our error for SystemExit, KeyboardInterrupt or the cancellation of a coroutine.

    Args:
        error: what the source's code raised.
        resource: name of the resource whose code it was, where that is known.
    """
    if isinstance(error, SystemExit):
        return SourceError(
            f"Resource {resource!r} ended the process instead of returning"
            if resource
            else "The source ended the process instead of returning",
            found=f"sys.exit({cut(repr(error.code), _CODE_LENGTH, '[…]')})",
            remedy="return from the source function to end it, raise an exception to fail",
        )
    return SourceError(
        f"Resource {resource!r} was cancelled before it gave all its rows",
        expected="coroutines that return, or raise an exception of their own",
        found=type(error).__name__,
        remedy="let nothing cancel the task that reads, catch asyncio.CancelledError where it is meant, and raise an "
        "exception to fail",
        retryable=True,
    )
