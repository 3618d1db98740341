"""The commands as Airflow's command line takes them from providers. Runs at every `airflow` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser

_VERBS = "airflow_provider_nilus.state.commands.verbs"


def commands() -> list[Any]:
    """Return the group `nilus` with what is in it, for `airflow nilus state …`."""
    from airflow.cli.cli_config import GroupCommand

    state = GroupCommand(name="state", help="Look at and change incremental state", subcommands=verbs())
    return [GroupCommand(name="nilus", help="Nilus custom sources", subcommands=(state,))]


def verbs() -> tuple[Any, ...]:
    """Return the verbs, in the order in which they are explained."""
    from airflow.cli import cli_config
    from airflow.cli.cli_config import ActionCommand, lazy_load_command

    Arg: Any = cli_config.Arg  # noqa: N806 - a class that Airflow has not typed
    key = Arg(("key",), help="The state key, `dag_id.task_id` unless the task has a state_key of its own")
    task = (
        Arg(
            ("--dag-id",), help="Of the task that keeps the record in its XComs, where that cannot be found by the key"
        ),
        Arg(("--task-id",), help="Likewise"),
        Arg(("--map-index",), type=int, default=-1, help="Likewise, of a mapped task"),
    )
    as_json = Arg(("--json",), action="store_true", help="Print JSON")
    changes = (
        Arg(("--dry-run",), action="store_true", help="Print what would change, and change nothing"),
        Arg(("-y", "--yes"), action="store_true", help="Do not ask"),
    )
    keep_rows = Arg(
        ("--keep-rows",), action="store_true", help="Leave rows that were loaded; else the next run removes them"
    )

    def verb(name: str, help_: str, *args: Any) -> Any:
        return ActionCommand(name=name, help=help_, func=lazy_load_command(f"{_VERBS}.{name}_state"), args=args)

    return (
        verb("list", "List the records of all keys", as_json),
        verb("show", "Show the record of a key", key, *task, as_json),
        verb("history", "List the commits of a key, newest first", key, *task, as_json),
        verb(
            "set",
            "Make a state the head of the record",
            key,
            Arg(
                ("--file",), required=True, help="JSON file with the state as `show` prints it; - reads standard input"
            ),
            *task,
            *changes,
        ),
        verb("reset", "Forget the record: the next run starts from nothing", key, keep_rows, *task, *changes),
        verb(
            "rewind",
            "Go back to an earlier commit",
            key,
            Arg(("--to",), type=int, required=True, help="Version of the commit"),
            keep_rows,
            *task,
            *changes,
        ),
        verb("adopt", "Go on from the newest load that the destination holds", key, *task, *changes),
    )


def parser() -> ArgumentParser:
    """Return the parser of `nilus-state`: the same verbs, where Airflow's command line takes none from providers."""
    from argparse import ArgumentParser

    made = ArgumentParser(prog="nilus-state", description="Look at and change incremental state.")
    subparsers = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    for command in verbs():
        sub = subparsers.add_parser(command.name, help=command.help, description=command.help)
        for arg in command.args:
            arg.add_to_parser(sub)
        sub.set_defaults(func=command.func)
    return made


def main(argv: list[str] | None = None) -> None:
    """Run `nilus-state`."""
    arguments = parser().parse_args(argv)
    arguments.func(arguments)
