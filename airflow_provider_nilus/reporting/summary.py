"""What a run says in the task log: progress lines and the closing table."""

from __future__ import annotations

from collections.abc import Mapping

from nilus.protocol.events import Loaded, Progress


def progress_line(progress: Progress) -> str:
    """Return one line for a progress event."""
    parts = [
        f"{name} {rows:,} rows ({progress.rows_per_second.get(name, 0):,.0f}/s)" for name, rows in progress.rows.items()
    ]
    if progress.jobs_total is not None:
        parts.append(f"load jobs {progress.jobs_done or 0} of {progress.jobs_total}")
    return f"{progress.step} {progress.seconds:.0f} s: {'; '.join(parts) or 'no rows yet'}"


def closing_table(loaded: Loaded) -> str:
    """Return the table of what was loaded, with the seconds of each step below it."""
    header = ("table", "rows", "disposition")
    rows = [
        (name, f"{table['rows']:,}", str(table.get("write_disposition") or ""))
        for name, table in sorted(loaded.tables.items())
    ] or [("(nothing new)", "0", "")]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {count:>{widths[1]}}  {disposition:<{widths[2]}}".rstrip()
        for name, count, disposition in (header, *rows)
    ]
    lines.insert(1, "-" * (sum(widths) + 4))
    return "\n".join([*lines, seconds_line(loaded.seconds)])


def seconds_line(seconds: Mapping[str, float]) -> str:
    """Return the seconds of each step on one line."""
    return "seconds: " + ", ".join(f"{step} {value:.2f}" for step, value in seconds.items())
