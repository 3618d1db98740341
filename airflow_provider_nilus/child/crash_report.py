"""The report: why a child process ended without a result, in words for the task's log."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable

from airflow_provider_nilus.child import memory
from nilus.errors import NilusError, ProcessError, from_dict
from nilus.protocol.events import Failed

_TERMINATED = 128 + signal.SIGTERM


def failure(event: Failed, mask: Callable[[str], str]) -> NilusError:
    """Return the error a child reported, rebuilt, its texts without secrets."""
    error = {
        key: mask(value) if isinstance(value, str) and key != "type" else value for key, value in event.error.items()
    }
    return from_dict(error)


def crash(returncode: int | None, peak: int | None, tail: Iterable[str]) -> ProcessError:
    """Return the error for a child that ended without `Loaded` or `Failed`.

    Args:
        returncode: its exit code, or the number of the signal that ended it, negative; None when it is not known.
        peak: its peak resident memory in bytes.
        tail: the last lines of its output, without secrets.
    """
    what, remedy = _ending(returncode)
    found = [_memory(peak)] if returncode is not None and returncode < 0 else []
    lines = list(tail)
    if lines:
        found.append("its last output was\n" + "\n".join(f"  {line}" for line in lines))
    return ProcessError(
        f"The child process that runs the source {what}.",
        expected="a result, or an error, before it ends",
        found="; ".join(found) or "no output",
        remedy=remedy,
    )


def _ending(returncode: int | None) -> tuple[str, str]:
    if returncode is None:
        return "ended, how is not known", "see its output in the log; the worker ignores SIGCHLD"
    if returncode == -signal.SIGKILL:
        return (
            "was killed by SIGKILL (signal 9), probably because memory ran out",
            "give the task more memory, lower page-size, or yield rows in smaller lists; if memory did not run out,"
            " somebody sent the signal",
        )
    if returncode in (-signal.SIGTERM, _TERMINATED):
        return "was ended by SIGTERM, which this task did not send", "find out who sent it; run the task again"
    if returncode < 0:
        return (
            f"crashed by {_name(-returncode)} (signal {-returncode})",
            "see its output in the log; such a crash comes from a compiled library the source uses",
        )
    return (
        f"ended with exit code {returncode} and without a result",
        "see its output in the log; a source must not call os._exit",
    )


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "an unnamed signal"


def _memory(peak: int | None) -> str:
    if peak is None:
        parts = ["its peak memory is not known"]
    else:
        parts = [f"its peak memory was {memory.readable(peak)}, without the processes it started"]
    limit = memory.limit()
    if limit is not None:
        parts.append(f"the control group of the worker may use {memory.readable(limit)} in all")
    return ", ".join(parts)
