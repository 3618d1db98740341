"""Waiting for somebody else to be done, not for ever and not in silence."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from nilus.errors import DestinationError

log = logging.getLogger("nilus")

TIMEOUT_SECONDS = 1800.0
_SAY_AFTER_SECONDS = 2.0
_POLL_SECONDS = 0.2


def wait_for(free: Callable[[], bool], whom: str, *, remedy: str) -> None:
    """Wait until `free` returns true; whoever has to wait for long is told in the log for whom.

    Args:
        free: asked several times a second.
        whom: what is waited for, as the end of a sentence that begins with "Waiting for".
        remedy: what to do where it takes too long.

    Raises:
        DestinationError: it was not true within `TIMEOUT_SECONDS` seconds; another try can help.
    """
    started = time.monotonic()
    said = False
    while not free():
        waited = time.monotonic() - started
        if waited > TIMEOUT_SECONDS:
            raise DestinationError(
                f"Waited too long for {whom}",
                expected=f"it to be done within {TIMEOUT_SECONDS:.0f} s",
                found="it is not",
                remedy=remedy,
                retryable=True,
            )
        if not said and waited >= _SAY_AFTER_SECONDS:
            log.info("Waiting for %s", whom)
            said = True
        time.sleep(_POLL_SECONDS)
    if said:
        log.info("Waited %.1f s for %s", time.monotonic() - started, whom)
