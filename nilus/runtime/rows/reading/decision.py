"""What a run reads: everything, a window, or from the cursor on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nilus.errors import StateError, WorkflowError
from nilus.protocol.job import Job
from nilus.values.interval import parse_instant

log = logging.getLogger("nilus")

Kind = Literal["full", "windowed", "cursor", "self-managed"]

_BACKFILL_REMEDY = (
    'load what is missing with a window (give the DAG a data interval), or set backfill="run" if this run may move '
    "the cursor like a scheduled one"
)


@dataclass(frozen=True)
class Reading:
    """What a run reads.

    Attributes:
        kind: `full`, `windowed`, `cursor` or `self-managed`.
        start, end: the interval that applies, aware; either may be None.
        reads_state: the run starts from the record's head; a full refresh then forgets the selected resources' part.
        keeps_state: the run writes the record.
    """

    kind: Kind
    start: datetime | None
    end: datetime | None
    reads_state: bool
    keeps_state: bool

    @property
    def interval(self) -> tuple[str, str] | None:
        """Both ends as ISO 8601, or None if either is missing."""
        if self.start is None or self.end is None:
            return None
        return (self.start.isoformat(), self.end.isoformat())

    @property
    def journal_kind(self) -> str:
        """The kind as the journal has it, where only a run that keeps state is `cursor` or `self-managed`."""
        return "windowed" if self.kind == "self-managed" and not self.keeps_state else self.kind

    @property
    def warns_of_state(self) -> bool:
        """Whether state that the source writes is lost without anybody having asked for that."""
        return not self.keeps_state and self.kind != "self-managed"


def decide(job: Job, *, handles_incrementality: bool) -> Reading:
    """Decide what this run reads, from the source, its options, the run's data interval and the kind of run.

    Raises:
        WorkflowError: `full-refresh` together with an interval, an end without a start, or an empty interval
            given explicitly.
        StateError: a backfill run that would have to move the cursor, or that the DAG's author refused.
    """
    start, end, explicit = _interval(job)
    backfill = job.run.run_type == "backfill" and job.options.backfill != "run"
    if backfill and job.options.backfill == "refuse":
        raise StateError(
            f"Run {job.run.run_id} is a backfill, and this task refuses backfills",
            expected='a scheduled, manual or asset-triggered run, as backfill="refuse" says',
            found="run_type backfill",
            remedy="change the operator's `backfill` argument, or do not include this task in the backfill",
        )
    if handles_incrementality:
        return _self_managed(job, start, end, backfill=backfill)
    if job.source.incremental_key is None:
        return Reading("full", start, end, reads_state=False, keeps_state=False)
    if start is not None and end is not None:
        _refuse_full_refresh(job, start, end)
        log.info(
            "Reads the window %s <= %s < %s (%s); no cursor is read or written",
            start.isoformat(),
            job.source.incremental_key,
            end.isoformat(),
            "given by interval-start and interval-end" if explicit else "the run's data interval",
        )
        return Reading("windowed", start, end, reads_state=False, keeps_state=False)
    if backfill:
        raise StateError(
            f"Run {job.run.run_id} is a backfill, but the source is read from a cursor",
            expected="a run with a data interval of non-zero width, so that the backfill reads a window",
            found=f"incremental-key {job.source.incremental_key!r} and no interval",
            remedy=_BACKFILL_REMEDY,
        )
    return Reading("cursor", start, None, reads_state=True, keeps_state=True)


def _self_managed(job: Job, start: datetime | None, end: datetime | None, *, backfill: bool) -> Reading:
    if start is not None and end is not None:
        _refuse_full_refresh(job, start, end)
    if not backfill:
        return Reading("self-managed", start, end, reads_state=True, keeps_state=True)
    if job.options.backfill == "window":
        if start is None or end is None:
            raise StateError(
                f"Run {job.run.run_id} is a backfill of a window, but it has no interval",
                expected="a data interval of non-zero width, which the source honours",
                found="none: without one the source would read everything again",
                remedy="give the DAG a timetable with data intervals, or the operator an interval",
            )
        return Reading("self-managed", start, end, reads_state=False, keeps_state=False)
    raise StateError(
        f"Run {job.run.run_id} is a backfill, but the source keeps a cursor of its own",
        expected='a source that honours the interval, said by backfill="window"',
        found="handles_incrementality() is true and the operator says nothing about backfills",
        remedy='set backfill="window" if the source reads only interval_start to interval_end, or backfill="run" '
        "if this run may move the cursor like a scheduled one",
    )


def _refuse_full_refresh(job: Job, start: datetime, end: datetime) -> None:
    if job.sink.full_refresh:
        raise WorkflowError(
            "full-refresh and an interval exclude each other",
            expected="a full refresh that reads everything, or a window",
            found=f"full-refresh: true and the interval {start.isoformat()} to {end.isoformat()}",
            remedy="drop full-refresh, or pass interval=None to the operator and no interval-start/-end",
        )


def _interval(job: Job) -> tuple[datetime | None, datetime | None, bool]:
    """Return start, end and whether they were given in the workflow."""
    if job.source.interval_start is not None or job.source.interval_end is not None:
        start = _parse(job.source.interval_start)
        end = _parse(job.source.interval_end)
        if start is None:
            raise WorkflowError(
                "interval-end is given without interval-start",
                expected="both ends, or interval-start alone to begin a cursor there",
                found=f"interval-end: {job.source.interval_end}",
                remedy="add interval-start",
            )
        if end is not None and start >= end:
            raise WorkflowError(
                "The interval is empty",
                expected="interval-start before interval-end",
                found=f"{start.isoformat()} to {end.isoformat()}",
                remedy="correct the interval",
            )
        return start, end, True
    if job.options.interval is None:
        log.info("This run has no data interval of its own width: none is applied")
        return None, None, False
    start, end = _parse(job.options.interval[0]), _parse(job.options.interval[1])
    if start is None or end is None or start >= end:
        log.info("The run's data interval has no width (%s): none is applied", job.options.interval[0])
        return None, None, False
    return start, end, False


def _parse(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
