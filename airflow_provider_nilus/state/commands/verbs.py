"""The verbs: each takes parsed arguments, prints, and ends with status 1 if it cannot do what it is asked."""

from __future__ import annotations

import functools
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from airflow_provider_nilus.state import change
from airflow_provider_nilus.state.commands import stored_records
from airflow_provider_nilus.state.commands.stored_records import StoredRecord, Task
from airflow_provider_nilus.state.record import Commit, Directive, Record
from nilus.errors import NilusError, StateError

_WIDTH = 400


def _verb(function: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    @functools.wraps(function)
    def run(arguments: Namespace) -> None:
        try:
            function(arguments)
        except NilusError as error:
            raise SystemExit(str(error)) from None

    return run


@_verb
def list_state(arguments: Namespace) -> None:
    """Print a line for each key."""
    found = stored_records.all_records()
    if arguments.json:
        print(json.dumps([_summary(one) for one in found], indent=2))
    elif not found:
        print("There are no records.")
    else:
        names = ("key", "version", "run", "commit", "moved at", "bytes", "kept in")
        print(_table(names, [_line(one) for one in found]))


@_verb
def show_state(arguments: Namespace) -> None:
    """Print the record."""
    found = _existing(arguments)
    record = _readable(found)
    if arguments.json:
        print(json.dumps(json.loads(record.to_json()), indent=2))
        return
    print(f"{record.key}: version {record.version}, in {found.place}, {found.size} bytes")
    if record.directive:
        print(f"The next run first: {_describe_directive(record.directive)}")
    if record.head:
        head = record.head
        print(f"Committed by run {head.run_id} at {head.committed_at.isoformat()}, source at {head.commit or '-'}")
        print(f"Loads {', '.join(head.load_ids) or 'none'}; rows {json.dumps(head.rows)}")
    print(json.dumps(record.state, indent=2, ensure_ascii=False))


@_verb
def history_state(arguments: Namespace) -> None:
    """Print the commits, newest first."""
    record = _readable(_existing(arguments))
    if arguments.json:
        print(json.dumps([commit.model_dump(mode="json") for commit in record.commits], indent=2))
        return
    if record.directive:
        print(f"version {record.directive.version}: {record.directive.verb}; {_describe_directive(record.directive)}")
    names = ("version", "run", "type", "commit", "committed at", "rows", "loads")
    print(_table(names, [_commit_line(commit) for commit in record.commits]))
    if record.truncated:
        print("Older commits are not kept.")


@_verb
def set_state(arguments: Namespace) -> None:
    """Make a state the head."""
    found = _find_record(arguments)
    text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text()
    state = _state_in(text)
    _change(arguments, found, change.put(_or_empty(found), state))


@_verb
def reset_state(arguments: Namespace) -> None:
    """Forget the record; also one that cannot be read."""
    found = _find_record(arguments)
    _change(arguments, found, change.reset(_or_empty(found), keep_rows=arguments.keep_rows))


@_verb
def rewind_state(arguments: Namespace) -> None:
    """Go back to an earlier commit."""
    found = _existing(arguments)
    _change(arguments, found, change.rewind(_readable(found), arguments.to, keep_rows=arguments.keep_rows))


@_verb
def adopt_state(arguments: Namespace) -> None:
    """Have the next run take the newest load's state; also where the record cannot be read."""
    found = _find_record(arguments)
    _change(arguments, found, change.adopt(_or_empty(found)))


def _find_record(arguments: Namespace) -> StoredRecord:
    task = None
    if arguments.dag_id or arguments.task_id:
        if not (arguments.dag_id and arguments.task_id):
            raise StateError("--dag-id and --task-id belong together", remedy="give both, or none")
        task = Task(arguments.dag_id, arguments.task_id, arguments.map_index)
    return stored_records.find(arguments.key, task)


def _existing(arguments: Namespace) -> StoredRecord:
    found = _find_record(arguments)
    if found.record is not None and found.size == 0:
        raise StateError(
            f"There is no record of {arguments.key!r}",
            expected="a key that a run has kept state under",
            found=f"no {found.place}",
            remedy="see `nilus-state list`",
        )
    return found


def _readable(found: StoredRecord) -> Record:
    if found.record is None:
        raise found.trouble or StateError(f"The state record of {found.key!r} cannot be read")
    return found.record


def _or_empty(found: StoredRecord) -> Record:
    return found.record or Record(key=found.key)


def _change(arguments: Namespace, found: StoredRecord, record: Record) -> None:
    """Print what would change, ask, and do it."""
    print(_difference(found, record))
    if arguments.dry_run:
        print("Nothing was changed (--dry-run).")
        return
    if not arguments.yes and not _confirm():
        raise SystemExit("Nothing was changed.")
    written = stored_records.write(found, record)
    print(f"Done: version {record.version}, in {written.place}.")


def _confirm() -> bool:
    print("Change it? [y/N] ", end="", flush=True)
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        raise SystemExit("Nothing was changed: nobody answered, and there was no --yes.") from None


def _difference(found: StoredRecord, record: Record) -> str:
    before = found.record
    lines = [f"{found.key}, in {found.place}:"]
    if found.size == 0:
        lines.append("  there is no record of this key yet: one is made")
    if before is None:
        lines.append("  what is there cannot be read, and is replaced")
    old_head, new_head = before.head if before else None, record.head
    lines.append(f"  version  {before.version if before else '?'} -> {record.version}")
    lines.append(f"  head     {_head(old_head)} -> {_head(new_head)}")
    lines.append(f"  history  {len(before.history) if before else '?'} -> {len(record.history)} commits")
    lines.append(f"  state    {_short(before.state if before else None)}")
    lines.append(f"        -> {_short(record.state)}")
    if record.directive:
        lines.append(f"  the next run first: {_describe_directive(record.directive)}")
    return "\n".join(lines)


def _describe_directive(directive: Directive) -> str:
    """Say what the next run does first."""
    does = []
    if directive.removes:
        does.append(f"removes the rows of loads {', '.join(directive.removes)} from appended tables")
    if directive.removes_after is not None:
        which = "all loads" if float(directive.removes_after) == 0 else f"the loads after {directive.removes_after}"
        does.append(f"removes the rows of {which} up to {directive.since} from appended tables")
    elif directive.since and directive.verb != "rerun":
        does.append(f"leaves the rows of all loads up to {directive.since}, and takes them for accounted for")
    if directive.adopt:
        does.append("takes the state of the newest complete load that the destination holds")
    return "; ".join(does) or "goes on from the head"


def _head(commit: Commit | None) -> str:
    return "none" if commit is None else f"version {commit.version} of run {commit.run_id}"


def _short(state: dict[str, Any] | None) -> str:
    text = "cannot be read" if state is None else json.dumps(state, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]} … ({len(text)} characters)"


def _state_in(text: str) -> dict[str, Any]:
    try:
        state = json.loads(text)
    except ValueError as error:
        raise StateError(
            "The file is not JSON", found=str(error), remedy="give the state as `show` prints it"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(part, dict) for part in state.values()):
        raise StateError(
            "The file holds no state",
            expected='an object with a source in it, such as {"shop": {"resources": {"orders": {"last_id": 7}}}}',
            found=_short({"": state})[5:-1],
            remedy="give the state as `show` prints it",
        )
    return state


def _summary(one: StoredRecord) -> dict[str, Any]:
    record = one.record
    head = record.head if record else None
    return {
        "key": one.key,
        "version": record.version if record else None,
        "run_id": head.run_id if head else None,
        "commit": head.commit if head else None,
        "moved_at": record.moved_at.isoformat() if record and record.moved_at else None,
        "bytes": one.size,
        "kept_in": one.place,
        "trouble": one.trouble.message if one.trouble else None,
    }


def _line(one: StoredRecord) -> tuple[str, ...]:
    if one.trouble:
        return (one.key, "cannot be read", "-", "-", "-", str(one.size), one.place)
    known = _summary(one)
    run = known["run_id"] or "-"
    return (
        one.key,
        str(known["version"]),
        run,
        (known["commit"] or "-")[:12],
        (known["moved_at"] or "-")[:19],
        str(one.size),
        one.place,
    )


def _commit_line(commit: Commit) -> tuple[str, ...]:
    rows = ", ".join(f"{table} {count}" for table, count in commit.rows.items()) or "-"
    return (
        str(commit.version),
        commit.run_id,
        commit.run_type,
        commit.commit[:12] or "-",
        commit.committed_at.isoformat()[:19],
        rows,
        ", ".join(commit.load_ids) or "-",
    )


def _table(names: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [names, *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
