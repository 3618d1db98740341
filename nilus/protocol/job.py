"""The job: everything a child process needs to run one source once, as one JSON line on its stdin."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Protocol

JOB_FORMAT = 2


class TaskInstance(Protocol):
    """What names a task instance: of a run, a journal entry, a stored package."""

    @property
    def dag_id(self) -> str:
        """The DAG."""

    @property
    def task_id(self) -> str:
        """The task."""

    @property
    def map_index(self) -> int:
        """-1 when the task is not mapped."""

    @property
    def run_id(self) -> str:
        """The DAG run."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Who runs: the identity that is written into the journal.

    Dates are ISO 8601 with offset, or None where the Airflow run has none. `map_index` is -1 when the task is
    not mapped. `commit` is the full Git SHA, `repository` the URL without credentials. `keyed_by_name`: the state key
    names what is loaded, whatever the map index; no other task instance of the run has it.
    """

    state_key: str
    dag_id: str
    task_id: str
    map_index: int
    run_id: str
    run_type: str
    try_number: int
    repository: str
    commit: str
    logical_date: str | None = None
    interval_start: str | None = None
    interval_end: str | None = None
    keyed_by_name: bool = False

    @property
    def attempt(self) -> str:
        """This attempt, as messages name it."""
        return f"attempt {self.try_number} of run {self.run_id}"

    def same_as(self, other: TaskInstance) -> bool:
        """Tell whether an attempt of this very task instance made something of the same state key.

        Args:
            other: who made it. Its map index does not count where the state key names what is loaded: clearing a
                fan-out whose list has changed gives the same work to another map index.
        """
        return (self.dag_id, self.task_id, self.run_id) == (other.dag_id, other.task_id, other.run_id) and (
            self.keyed_by_name or self.map_index == other.map_index
        )


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """The `source` block after validation. `address` is exactly what the author wrote; `{ENV}` is filled in the child.

    `options` holds what is not ours: handed to the source as keyword arguments, keys in snake_case.
    `sql` holds the `sql-*` options under their snake_case names. Interval ends are ISO 8601 strings.
    """

    address: str
    table: str
    primary_key: list[str] = field(default_factory=list)
    incremental_key: str | None = None
    interval_start: str | None = None
    interval_end: str | None = None
    type_hints: dict[str, str] = field(default_factory=dict)
    mask: dict[str, str] = field(default_factory=dict)
    max_table_nesting: int | None = None
    page_size: int = 50_000
    extract_parallelism: int = 5
    yield_limit: int | None = None
    sql: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SinkSpec:
    """The `sink` block after validation, its address resolved (no `dataos://` any more); may hold credentials.

    `dataset` is the schema; `table` the table part of a `schema.table` destination, used only where the contract
    allows. `strategy` is `incremental-strategy`. `display_address` is the address as it may be shown.
    `loader_file_size` is None where the workflow leaves it to the sink.
    """

    address: str
    display_address: str
    dataset: str
    table: str | None = None
    strategy: str = "replace"
    full_refresh: bool = False
    partition_by: list[dict[str, Any]] = field(default_factory=list)
    cluster_by: list[str] = field(default_factory=list)
    loader_file_size: int | None = None
    loader_file_format: str | None = None
    staging_bucket: str | None = None
    credentials: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StartState:
    """Where the run starts from, and what it does first to what others loaded.

    Args:
        sources: dlt's `sources` subtree to start from, as plain JSON (dlt's typed strings kept as they are).
        known_load_ids: the load ids that the record knows.
        replaces: load ids whose rows this run removes, because their commits were taken back.
        removes_after: a load id: the rows of complete loads after it that are accounted for are removed as well.
        adopt: the state of the newest complete load is taken, however many the record does not know.
        directed_at: ISO 8601: when another run or somebody left it to this one to do what `replaces` and
            `removes_after` say; None where this run itself takes the commits back, or there is nothing to do.
    """

    sources: dict[str, Any] = field(default_factory=dict)
    known_load_ids: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    removes_after: str | None = None
    adopt: bool = False
    directed_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How to run: arguments of the operator, and settings of the deployment.

    Args:
        resources: names of the resources to run; None for all.
        interval: (start, end) of the run's data interval, ISO 8601; None where there is none or its width is zero.
        backfill: the operator's `backfill` argument: None, "window", "run" or "refuse".
        on_rerun: "replace", "append" or "rewind".
        first_attempt: number of the first try since the task instance was made or cleared.
        first_try: number of the first try since the task instance was made or cleared, where the record cannot tell
            whether this run was over before; else 1. What earlier tries loaded is replaced.
        at_least_once: rows may be appended where what an interrupted load left cannot be removed.
        batching: `auto`: rows are loaded by column; `off`: dlt takes them one by one.
        keeps_packages: the parent has a package store: what is extracted is put there before it is loaded.
    """

    resources: list[str] | None = None
    interval: tuple[str, str] | None = None
    backfill: str | None = None
    on_rerun: str = "replace"
    first_attempt: int = 1
    first_try: int = 1
    at_least_once: bool = False
    batching: str = "auto"
    keeps_packages: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the child runs.

    Args:
        checkout: absolute path of the checkout's root.
        base_dir: absolute path of the folder with the source's modules, inside `checkout`.
        work_dir: private, empty scratch folder of this try; also the child's cwd. The parent removes it.
        extra_path: directories with packages to put behind the worker's own on `sys.path`.
        env_names: names of the environment variables that the DAG's author gave to the source.
        log_level: name of the level below which log records of the child are dropped.
    """

    checkout: str
    base_dir: str
    work_dir: str
    extra_path: list[str] = field(default_factory=list)
    env_names: list[str] = field(default_factory=list)
    log_level: str = "INFO"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one source.

    Args:
        run: who runs.
        source, sink: what to read, where to write.
        place: where the child runs.
        state: where the run starts from.
        options: how to run.
        format: of this document.
    """

    run: Run
    source: SourceSpec
    sink: SinkSpec
    place: Place
    state: StartState = field(default_factory=StartState)
    options: JobOptions = field(default_factory=JobOptions)
    format: int = JOB_FORMAT

    def to_json(self) -> str:
        """Return the job as one line of JSON (no newline inside). It may hold credentials: for a pipe only."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> Job:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the line is not a job of this format.
        """
        data = json.loads(line)
        if data.get("format") != JOB_FORMAT:
            raise ValueError(f"expected a job of format {JOB_FORMAT}, found {data.get('format')!r}")
        options = data["options"]
        if options["interval"] is not None:
            options["interval"] = tuple(options["interval"])
        return cls(
            run=Run(**data["run"]),
            source=SourceSpec(**data["source"]),
            sink=SinkSpec(**data["sink"]),
            place=Place(**data["place"]),
            state=StartState(**data["state"]),
            options=JobOptions(**options),
        )
