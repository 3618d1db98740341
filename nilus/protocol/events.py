"""The events: what a child process tells its parent, one JSON line each, on a pipe of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from nilus.protocol.validation import check_fields
from nilus.values.names import check_identifier, check_load_id


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a step is. Sent at most every five seconds by the child.

    `rows` and `rows_per_second` are per resource (extract) or table; `jobs_done` and `jobs_total` count load jobs.
    """

    kind: ClassVar[str] = "progress"
    step: str
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)
    rows_per_second: dict[str, float] = field(default_factory=dict)
    jobs_done: int | None = None
    jobs_total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """A question: what does Airflow know of the task instances that these journal entries belong to?

    Each entry is a `JournalEntry` as a dict. The parent answers with one JSON line on the child's stdin:
    `{"live": [load_id, …], "states": {load_id: state}, "moved": bool}`. `live` are those of task instances that are
    still running; a state is Airflow's word, or `cleared`, or `gone` where the run is not known any more; `moved`
    tells that the record is another one than the job was made from.

    `taking_back` tells that the rows of `Job.replaces` are removed as soon as the answer is there.
    """

    kind: ClassVar[str] = "unsettled"
    entries: list[dict[str, Any]]
    taking_back: bool = False


@dataclass(frozen=True, kw_only=True)
class PackageRequest:
    """A question about the package store, which only the parent reaches; it answers with one JSON line.

    `find` is answered by `{"packages": [{"load_id", "complete", "manifest", "where"}, …]}`, all of the key; `put` by
    `{"where": …}` when the files that the manifest names are in the store; `get` by `{}` when they are in `folder`.
    """

    kind: ClassVar[str] = "package_request"
    action: str
    load_id: str = ""
    folder: str = ""
    manifest: str = ""


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A complete load of another run, which died before its state was kept: it belongs into the record.

    `state` is what the load carried; `rows` counts the rows of each table.
    """

    kind: ClassVar[str] = "adopted"
    load_id: str
    run_id: str
    commit: str
    rows: dict[str, int]
    state: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Described:
    """The source's class is loaded; `documentation` is what it says of itself. Sent if it says something."""

    kind: ClassVar[str] = "described"
    class_name: str
    file: str
    documentation: str


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The package is normalized; its load id enters the journal next."""

    kind: ClassVar[str] = "prepared"
    load_ids: list[str]
    tables: list[str]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The last event of a run that went well.

    `reading` is one of `full`, `windowed`, `cursor`, `self-managed`; `keeps_state` tells whether `state` is to be
    written into the record. `tables` maps a table to `{"rows", "write_disposition"}`; `seconds` a step to its duration.
    """

    kind: ClassVar[str] = "loaded"
    load_ids: list[str]
    tables: dict[str, dict[str, Any]]
    dataset: str
    destination: str
    reading: str
    keeps_state: bool
    state: dict[str, Any]
    seconds: dict[str, float]
    interval: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The last event of a run that failed. `error` is `NilusError.as_dict()`; `traceback` is text for the log."""

    kind: ClassVar[str] = "failed"
    error: dict[str, Any]
    traceback: str = ""


Question: TypeAlias = Unsettled | PackageRequest
Event: TypeAlias = Progress | Question | Adopted | Described | Prepared | Loaded | Failed

_READINGS = ("full", "windowed", "cursor", "self-managed")


@dataclass(frozen=True, kw_only=True)
class _Table:
    rows: int
    write_disposition: str | None
    columns: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """What the parent is told of a row of the journal, in `Unsettled.entries`; `started_at` is in ISO 8601."""

    load_id: str
    state_key: str
    dag_id: str
    task_id: str
    map_index: int
    run_id: str
    try_number: int
    commit: str
    reading: str
    started_at: str
    landed: bool


_KINDS: dict[str, type[Event]] = {
    cls.kind: cls for cls in (Progress, Unsettled, PackageRequest, Adopted, Described, Prepared, Loaded, Failed)
}


def encode(event: Event) -> bytes:
    """Return the event as one line of JSON, newline included."""
    document = {"event": event.kind, **dataclasses.asdict(event)}
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Event:
    """Read what `encode` wrote.

    Raises:
        ValueError: the line is not an event.
    """
    try:
        document = json.loads(line, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("expected a value that is not nested without end") from None
    name = document.pop("event", None) if isinstance(document, dict) else None
    cls = _KINDS.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"expected one of the events {', '.join(_KINDS)}")
    check_fields(cls, document)
    event = cls(**document)
    match event:
        case Loaded():
            _check_loads(event.load_ids, event.tables)
            _check_tables(event.tables)
            if event.reading not in _READINGS:
                raise ValueError(f"expected one of {', '.join(_READINGS)}")
        case Prepared():
            _check_loads(event.load_ids, event.tables)
        case Adopted():
            _check_loads([event.load_id], event.rows)
        case PackageRequest() if event.load_id:
            check_load_id(event.load_id)
    return event


def check_entry(entry: dict[str, Any]) -> None:
    """Refuse what is not a row of the journal.

    Raises:
        ValueError: it is not.
    """
    check_fields(JournalEntry, entry)
    check_load_id(entry["load_id"])


def _check_loads(load_ids: list[str], tables: Iterable[str]) -> None:
    for load_id in load_ids:
        check_load_id(load_id)
    for table in tables:
        check_identifier(table)


def _check_tables(tables: dict[str, Any]) -> None:
    for table in tables.values():
        check_fields(_Table, table)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"expected a finite number, found {name}")


class EventWriter:
    """Writes events to a file descriptor; whole lines, from any thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        """Write one event; blocks while the pipe is full.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        data = memoryview(encode(event))
        with self._lock:
            while data:
                data = data[os.write(self._fd, data) :]
