"""What the command line shows: progress, and tables of what was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from nilus.protocol import events

if TYPE_CHECKING:
    from rich.progress import TaskID

    from nilus.errors import NilusError


class ProgressBars:
    """A bar for each step, moved by the events of a run; a context manager.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._steps: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: events.Event) -> None:
        """Take an event of the run."""
        if not isinstance(event, events.Progress):
            return
        if event.step not in self._steps:
            self._steps[event.step] = self._bars.add_task(event.step, total=None, note="")
        note = ", ".join(f"{name} {rows:,} rows" for name, rows in event.rows.items())
        total = event.jobs_total if event.jobs_total else None
        done = event.jobs_done if event.jobs_total else sum(event.rows.values())
        self._bars.update(self._steps[event.step], completed=done or 0, total=total, note=note)


def closing_table(loaded: events.Loaded) -> Table:
    """Return the table of what was loaded."""
    table = Table(title=f"Loaded into {loaded.destination}, schema {loaded.dataset}", title_justify="left")
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("disposition")
    for name, what in sorted(loaded.tables.items()):
        table.add_row(name, f"{what['rows']:,}", str(what.get("write_disposition") or ""))
    if not loaded.tables:
        table.add_row("(nothing new)", "0", "")
    return table


def columns_table(name: str, what: dict[str, Any]) -> Table:
    """Return the table of a table's columns and their types."""
    table = Table(title=f"{name}: {what['rows']:,} rows, {what['write_disposition']}", title_justify="left")
    table.add_column("column")
    table.add_column("type")
    for column, kind in what["columns"].items():
        table.add_row(column, kind or "")
    return table


def show_error(console: Console, error: NilusError) -> None:
    """Show an error with what was expected, what was found and what to do."""
    console.print(f"[bold red]{type(error).__name__}[/]", end=" ")
    console.print(str(error), markup=False, highlight=False)
