"""Progress of a run, out of dlt's own counters, at most every few seconds."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from nilus.protocol.events import Progress
from nilus.runtime.engine.internals.collector import NOT_TABLES, Collector, is_load, step_name

INTERVAL_SECONDS = 5.0


class ProgressCollector(Collector):
    """Counts rows and load jobs and reports them. A subclass: `_start` and `_stop` are dlt's, abstract there.

    Args:
        report: called with a `Progress` at most every `interval` seconds, and once at the end of a step that took
            longer than that.
        interval: seconds between two reports.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        report: Callable[[Progress], None],
        *,
        interval: float = INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.step = ""
        self._report = report
        self._interval = interval
        self._clock = clock
        self._rows: dict[str, int] = defaultdict(int)
        self._jobs_done = 0
        self._jobs_total = 0
        self._reset()

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,  # noqa: ARG002 - dlt's signature
        label: str | None = None,
    ) -> None:
        """Count; called by dlt for every buffer of rows and every finished job."""
        if label:
            return
        if name == "Jobs":
            self._jobs_done += inc
            self._jobs_total = total if total is not None else self._jobs_total
            self._jobs_total += inc_total or 0
        elif name not in NOT_TABLES and not name.startswith("_dlt_"):
            self._rows[name] += inc
        if self._clock() - self._reported_at >= self._interval:
            self._send()

    def _start(self, step: str) -> None:  # noqa: ARG002 - dlt keeps it in self.step, too
        self._reset()

    def _stop(self) -> None:
        if self._reported_at > self._started_at:
            self._send()

    def _reset(self) -> None:
        self._started_at = self._reported_at = self._clock()
        self._rows = defaultdict(int)
        self._jobs_done = 0
        self._jobs_total = 0

    def _send(self) -> None:
        now = self._clock()
        self._reported_at = now
        seconds = max(now - self._started_at, 1e-9)
        loading = is_load(self.step)
        self._report(
            Progress(
                step=step_name(self.step),
                seconds=round(seconds, 1),
                rows=dict(self._rows),
                rows_per_second={name: round(rows / seconds, 1) for name, rows in self._rows.items()},
                jobs_done=self._jobs_done if loading else None,
                jobs_total=self._jobs_total if loading else None,
            )
        )
