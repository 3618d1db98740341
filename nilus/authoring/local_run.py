"""One run of a source from a folder, in this process."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nilus.authoring.local_state import LocalState
from nilus.errors import DestinationError, SourceError
from nilus.protocol.channel import Channel
from nilus.protocol.events import Event, Loaded, Question, Unsettled
from nilus.protocol.job import Job, JobOptions, Place, Run, SinkSpec, SourceSpec, StartState
from nilus.values import address
from nilus.values.address import Address
from nilus.values.redaction import redact_address
from nilus.values.schemes import is_local, scheme_name
from nilus.workflow.models import Workflow

LOCAL_COMMIT = "0" * 40
"""Stands in the journal for code that is in no commit."""

FOLDER = Path(".nilus")
"""Where a local run keeps its DuckDB file and its state unless it is told otherwise, in the working directory."""


@dataclass(frozen=True, kw_only=True)
class LocalRun:
    """What to run.

    Args:
        workflow: what to read and where to write.
        base_dir: the folder with the source's modules.
        checkout: the root of the repository it lies in.
        commit: the commit it is at.
        limit: end each resource after so many yields; None for no limit.
        resources: names of the resources to run; None for all.
        interval: start and end, ISO 8601; None for none.
        environ: further environment variables for the source, as `source_env` of the operator.
        batching: `auto` or `off`, as in the deployment's settings.
    """

    workflow: Workflow
    base_dir: Path
    checkout: Path
    commit: str = LOCAL_COMMIT
    limit: int | None = None
    resources: list[str] | None = None
    interval: tuple[str, str] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    batching: str = "auto"

    @property
    def state_key(self) -> str:
        """What the run's state is called."""
        source = self.workflow.source
        return f"local.{address.class_name(address.fold(source.address))}.{source.table}"

    def run(self, start: LocalState, *, on_event: Callable[[Event], None] = lambda _: None) -> Loaded:
        """Run the source once. dlt's working files go into a temporary folder that is removed afterwards.

        The source's modules are imported into this process: one process, one run.

        Args:
            start: the state to start from.
            on_event: told what happens.

        Raises:
            NilusError: the run failed.
        """
        from nilus.runtime import pipeline

        with _work_dir() as work_dir, _environment(self.environ):
            return pipeline.run(self._job(start, work_dir), _LocalChannel(on_event))

    def _job(self, start: LocalState, work_dir: Path) -> Job:
        source, sink = self.workflow.source, self.workflow.sink
        fields = source.spec_fields()
        if self.limit is not None:
            fields["yield_limit"] = self.limit
        resolved = _absolute_sink(address.fill(address.fold(sink.address), os.environ, where="sink.address"))
        return Job(
            run=Run(
                state_key=self.state_key,
                dag_id="local",
                task_id=address.class_name(address.fold(source.address)),
                map_index=-1,
                run_id=f"local__{datetime.now(UTC).isoformat()}",
                run_type="manual",
                try_number=1,
                repository=self.checkout.as_uri(),
                commit=self.commit,
            ),
            source=SourceSpec(**fields),
            sink=SinkSpec(**{**sink.spec_fields(), "address": resolved, "display_address": redact_address(resolved)}),
            place=Place(
                checkout=str(self.checkout),
                base_dir=str(self.base_dir),
                work_dir=str(work_dir),
                env_names=sorted(self.environ),
            ),
            state=StartState(sources=start.state, known_load_ids=start.load_ids),
            options=JobOptions(resources=self.resources, interval=self.interval, batching=self.batching),
        )


def root_of(folder: Path | str) -> tuple[Path, str]:
    """Return the root of the repository a folder lies in, and the commit it is at.

    The root of a folder in no repository is the working directory if it lies in that, else the folder itself. A
    repository without commits, or with changes, is at `LOCAL_COMMIT`.

    Raises:
        SourceError: there is no such folder.
    """
    from git import InvalidGitRepositoryError, Repo

    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is no folder",
            expected="the folder with the source's modules",
            found="nothing" if not folder.exists() else "a file",
            remedy="name it with --base-dir",
        )
    try:
        repository = Repo(folder, search_parent_directories=True)
    except InvalidGitRepositoryError:
        # What will be a repository is where its author works; a home folder is not.
        here = Path.cwd().resolve()
        is_project = folder.is_relative_to(here) and here not in (Path.home().resolve(), Path(here.anchor))
        return here if is_project else folder, LOCAL_COMMIT
    with repository:
        root = Path(repository.working_dir).resolve()
        if not repository.head.is_valid() or repository.is_dirty(untracked_files=True):
            return root, LOCAL_COMMIT
        return root, repository.head.commit.hexsha


class _LocalChannel(Channel):
    """Tells a function in this process; nobody else runs the key."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event

    def send(self, event: Event) -> None:
        self._on_event(event)

    def ask(self, question: Question, timeout: float = 0.0) -> dict[str, Any]:  # noqa: ARG002
        self._on_event(question)
        return {"live": []} if isinstance(question, Unsettled) else {}


@contextmanager
def _work_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="nilus-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _environment(extra: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _absolute_sink(sink: str) -> str:
    """Return a sink's address with a file's path made absolute."""
    scheme = scheme_name(sink)
    if scheme == "dataos":
        raise DestinationError(
            f"{sink.partition('?')[0]} names an Airflow connection",
            expected="the address of a database or a file: there is no Airflow here",
            found=f"{scheme}://",
            remedy="give --sink, for example --sink duckdb:///trial.duckdb",
        )
    resolved = Address.parse(Address.parse(sink).absolute(Path.cwd()))
    if is_local(resolved.scheme) and resolved.scheme != "file":
        Path(unquote(resolved.path)).parent.mkdir(parents=True, exist_ok=True)
    return resolved.text
