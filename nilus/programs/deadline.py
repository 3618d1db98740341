"""A point in time by which something has to be done; shared by all the steps that lead there."""

from __future__ import annotations

import time


class Deadline:
    """Counts down from `seconds` on the monotonic clock, from the moment it is made."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._started = time.monotonic()

    @property
    def seconds_elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def seconds_left(self) -> float:
        """Seconds that remain; 0.0 when the time is up, never negative."""
        return max(0.0, self.seconds - self.seconds_elapsed)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.seconds_left == 0.0
