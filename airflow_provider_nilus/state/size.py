"""When a record is so large that somebody should know."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

WARN_BYTES = 1_000_000


def warn_of_size(key: str, text: str) -> None:
    """Say in the log that a record is large."""
    if len(text) > WARN_BYTES:
        log.warning("The state record of %r has %d bytes; every run reads and writes all of it", key, len(text))
