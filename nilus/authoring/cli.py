"""The `nilus` command: a source run, checked and begun without Airflow."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

app = typer.Typer(
    help="Run, check and begin Nilus custom sources, without Airflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Target = Annotated[str, typer.Argument(help="A workflow file, or custom://<ClassName>?…", metavar="WORKFLOW|ADDRESS")]
_BaseDir = Annotated[
    Path | None,
    typer.Option(help="Folder with the source's modules. Default: the repository that the workflow names; for an "
                      "address the working directory."),
]  # fmt: skip
_Step = Annotated[str | None, typer.Option(help="Which step, where the document has several.")]
_SourceOptions = Annotated[
    list[str] | None, typer.Option("--option", help="A source option, key=value; may be repeated.")
]
_SinkOptions = Annotated[
    list[str] | None, typer.Option("--sink-option", help="A sink option, key=value; may be repeated.")
]
_Env = Annotated[
    list[str] | None, typer.Option("--env", help="NAME=value for the source and {NAME} in addresses; may be repeated.")
]


@app.command()
def run(
    target: _Target,
    base_dir: _BaseDir = None,
    sink: Annotated[
        str | None, typer.Option(help="Where to write. Default: the workflow's sink, or .nilus/<ClassName>.duckdb.")
    ] = None,
    step: _Step = None,
    option: _SourceOptions = None,
    sink_option: _SinkOptions = None,
    env: _Env = None,
    resource: Annotated[list[str] | None, typer.Option(help="Run this resource only; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End each resource after so many yields.")] = None,
    interval: Annotated[
        tuple[str, str] | None, typer.Option(help="Start and end of what is to be read, ISO 8601.", metavar="START END")
    ] = None,
    state_file: Annotated[
        Path | None, typer.Option(help="Where the state is kept. Default: .nilus/<ClassName>.<source-table>.json.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show log lines below WARNING, too.")] = False,
) -> None:
    """Run a source once and keep its state for the next run."""
    from rich.console import Console

    from nilus.authoring.display import ProgressBars, closing_table
    from nilus.authoring.local_run import FOLDER
    from nilus.authoring.local_state import LocalState
    from nilus.authoring.target import Target

    _log(verbose)
    console = Console()
    with _errors_shown():
        what = Target(
            name=target,
            base_dir=base_dir,
            step=step,
            sink=sink,
            source_options=option or (),
            sink_options=sink_option or (),
        )
        with what.local_run(
            limit=limit, resources=resource, interval=interval, environ=_environment(env or [])
        ) as local_run:
            path = state_file or FOLDER / f"{local_run.state_key.removeprefix('local.').replace('/', '_')}.json"
            start = LocalState.read(path, local_run.state_key)
            with ProgressBars(console) as bars:
                loaded = local_run.run(start, on_event=bars.show)
            if loaded.keeps_state:
                start.after(loaded.state, loaded.load_ids).write(path)
    console.print(closing_table(loaded))
    console.print("seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in loaded.seconds.items()))
    if loaded.keeps_state:
        console.print(f"state: {path}", highlight=False)


@app.command()
def check(
    target: _Target,
    base_dir: _BaseDir = None,
    step: _Step = None,
    option: _SourceOptions = None,
    sink_option: _SinkOptions = None,
    env: _Env = None,
    limit: Annotated[int, typer.Option(min=1, help="End each resource after so many yields.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show log lines below WARNING, too.")] = False,
) -> None:
    """Load a source and run it with a limit: which tables and types come out, and what would be refused.

    Writes nothing but a database that is thrown away. The exit code is 1 if something is refused.
    """
    from rich.console import Console

    from nilus.authoring import check as checking
    from nilus.authoring.display import columns_table, show_error
    from nilus.authoring.target import Target

    _log(verbose)
    console = Console()
    with _errors_shown():
        what = Target(
            name=target, base_dir=base_dir, step=step, source_options=option or (), sink_options=sink_option or ()
        )
        findings = checking.check(what, limit=limit, environ=_environment(env or []))
    if as_json:
        typer.echo(json.dumps(findings.as_dict(), indent=2))
    else:
        for name, table in sorted(findings.tables.items()):
            console.print(columns_table(name, table))
        for warning in findings.warnings:
            console.print(f"[yellow]warning[/] {warning}", highlight=False)
        for error in findings.refused:
            show_error(console, error)
        if findings.ok:
            console.print(f"[green]ok[/]: a run reads {findings.reading}")
    raise typer.Exit(0 if findings.ok else 1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What the source reads, for example orders.")],
    folder: Annotated[Path | None, typer.Option(help="Where to make it. Default: a folder of that name.")] = None,
) -> None:
    """Begin a repository: a source, its workflow, a test and a DAG."""
    from nilus.authoring.scaffold import create

    with _errors_shown():
        made = create(name, folder)
    typer.echo(f"Made {made}:")
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        typer.echo(f"  {path.relative_to(made)}")


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Show an error of ours without a traceback, and leave with code 1."""
    from rich.console import Console

    from nilus.authoring.display import show_error
    from nilus.errors import NilusError

    try:
        yield
    except NilusError as error:
        show_error(Console(stderr=True), error)
        raise typer.Exit(1) from None


def _log(verbose: bool) -> None:
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=False)
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s", handlers=[handler])


def _environment(pairs: list[str]) -> dict[str, str]:
    environment = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise typer.BadParameter("expected NAME=value", param_hint="--env")
        environment[name] = value
    return environment


class TerminationRequest(BaseException):
    """SIGTERM came: unwind, so that `finally` blocks of the source run, and exit."""


def main() -> None:
    """Run the command; SIGTERM ends it with the exit code that shells write for it."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except TerminationRequest:
        sys.exit(128 + signal.SIGTERM)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TerminationRequest
