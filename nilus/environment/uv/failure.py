"""What uv's last lines mean: which kind of failure, what to do, whether trying again can help."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nilus.errors import DependencyError
from nilus.programs import failure
from nilus.programs.deadline import Deadline
from nilus.programs.failure import kind

_STARTS = re.compile(r"error:|\s+×")


class UvFailed(Exception):  # noqa: N818 - those who run uv turn it into an error of ours
    """uv ended with an error.

    Args:
        doing: what it was doing, after "uv could not".
        status: its exit status; negative for a signal.
        output: what it printed to standard error; may hold secrets, comes from indexes and builds in part.
        secrets: what must not be seen.

    Attributes:
        words: its last lines, as they may be shown.
        kind: what they mean.
    """

    def __init__(self, doing: str, status: int, output: str, secrets: Iterable[str]) -> None:
        super().__init__(doing)
        self.words = quote_output(output, secrets)
        self.kind = failure.kind_of(output, _KINDS, "uv")
        self._doing = doing
        self._status = status

    def error(self) -> DependencyError:
        """Return the error to raise."""
        return failure.program_error(
            DependencyError, program="uv", doing=self._doing, status=self._status, kind=self.kind, words=self.words
        )


_AGAIN = "Nothing, if it was a passing fault: the task may be tried again. Else look at the index and the network."

# The first that matches counts. uv's wording has changed over time: 0.9 and 0.13 are both understood.
_KINDS = (
    kind(
        r"No space left on device|Disk quota exceeded|os error (?:28|122)\b",
        "the disk is full",
        "Free some space, lower cache_max_bytes, or set cache_dir (and UV_CACHE_DIR, for uv's own cache) to a larger "
        "disk.",
        retryable=True,
    ),
    kind(
        r"Failed to initialize cache|failed to (?:create|open|write).*cache.*(?:Permission denied|Read-only|Not a dir)",
        "uv cannot use its own cache",
        "Set UV_CACHE_DIR to a folder the worker's user may write.",
    ),
    kind(
        r"network was disabled|network connectivity is disabled",
        "the network is switched off for uv (UV_OFFLINE), and not everything is in its cache",
        "Unset UV_OFFLINE, or fill uv's cache.",
        retryable=True,
    ),
    kind(
        r"401 Unauthorized|403 Forbidden|407 Proxy|lack of valid authentication",
        "the index did not let us in",
        "Check the credentials of the index: in the deployment's index connection or variables (UV_DEFAULT_INDEX, "
        "UV_INDEX_<NAME>_PASSWORD, PIP_INDEX_URL), or in .netrc.",
    ),
    kind(
        r"invalid peer certificate|UnknownIssuer|certificate verify failed|certificate has expired",
        "the certificate of the index is not trusted",
        "Give the authority's certificate to the worker by SSL_CERT_FILE (or PIP_CERT).",
    ),
    kind(
        r"error sending request|dns error|tcp connect error|Connection (?:refused|reset)|operation timed out|"
        r"(?:request|connection) timed out|HTTP status server error|\(?(?:408|429) |error decoding response body|"
        r"connection closed before|unexpected EOF|Network is unreachable|Could not connect",
        "the index cannot be reached, or does not answer as it should",
        _AGAIN,
        retryable=True,
    ),
    kind(
        r"Hash mismatch|hash(?:es)? (?:does|do) not match|all requirements must have a hash",
        "an archive is not the one the hashes in the requirements are for",
        "Find out why it differs before anything else. If the new one is meant, put its hashes into the requirements.",
    ),
    kind(
        r"Failed to build|build backend returned an error|Failed to (?:generate|get) (?:package )?metadata|"
        r"Call to `?\S+`? failed",
        "a source archive could not be built into a package",
        "Read the last lines of the build. Ask for a version that has a wheel for this Python, or have what the build "
        "needs (a compiler, a library) installed in the image of the workers.",
    ),
    kind(
        r"404 Not Found|410 Gone",
        "the index does not have a file that it lists, or the address leads nowhere",
        "Correct the address, or have the index repaired.",
    ),
    kind(
        r"Git operation failed|failed to (?:clone|fetch) into|failed to fetch (?:branch|tag|commit)",
        "a git repository could not be fetched",
        "Check the address and what the worker's user may read.",
        retryable=True,
    ),
    kind(
        r"not found in the package registry|not found in the provided package locations",
        "a package is in none of the indexes",
        "Correct its name, or have it put into the index that the deployment uses (UV_DEFAULT_INDEX, PIP_INDEX_URL or "
        "its index connection).",
    ),
    kind(
        r"requires Python|matching Python|no wheels with a matching|Python ABI|matching platform",
        "a package does not work with this Python on this machine",
        "Ask for a version that does, or have the image of the workers changed.",
    ),
    kind(
        r"No solution found",
        "no set of versions fits together",
        "Change the requirements as uv's lines say.",
    ),
)


def timed_out(doing: str, deadline: Deadline, output: str, secrets: Iterable[str]) -> DependencyError:
    """Return the error for a uv that took too long."""
    return DependencyError(
        f"uv could not {doing} within {deadline.seconds:g} seconds.",
        expected="the packages to be downloaded, built and installed in that time",
        found=quote_output(output, secrets) or "no end and no message",
        remedy="Give it a longer timeout, ask for versions that have wheels, or look at the index and the network.",
        retryable=True,
    )


def quote_output(text: str, secrets: Iterable[str]) -> str:
    """Return what may be shown of uv's words, as `programs.failure.shown`, without what it told of its progress."""
    return failure.quote_output(text, secrets, starts=_STARTS)
