"""Sources that real child processes run into folders, on this disk and in S3."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from file_lake import FileLake
from job_fixture import job_with

from airflow_provider_nilus.child.process import ChildProcess
from airflow_provider_nilus.task.child_environment import child_environ
from nilus.protocol.events import Loaded
from nilus.protocol.job import Run, SinkSpec, SourceSpec

_HEADER = "import nilus\nfrom nilus import CustomSource\n"
_SINK = ("strategy", "full_refresh", "loader_file_size", "loader_file_format", "credentials", "dataset")
_SOURCE = ("primary_key", "incremental_key", "max_table_nesting", "page_size", "type_hints")
FIXTURES = Path(__file__).resolve().parents[4] / "fixtures"


class Runner:
    """Runs sources into one file sink, one run after the other, as the record of one key would have them.

    Attributes:
        lake: what is in the sink.
        log: what the last run logged.
        state, known: what the record holds.
    """

    def __init__(self, folder: Path, lake: FileLake) -> None:
        self.lake = lake
        self.log: list[str] = []
        self.state: dict[str, Any] = {}
        self.known: list[str] = []
        self._folder = folder
        self._runs = 0

    def __call__(
        self, code: str, *, env: Mapping[str, str] | None = None, kill_at: str | None = None, **options: Any
    ) -> Loaded:
        """Run a source that is called `Shop` once.

        Args:
            code: the text of its module, without the imports.
            env: what is in the worker's environment beside the usual.
            kill_at: a point of `kill_points`.
            options: fields of the job's parts, by their names.
        """
        self._runs += 1
        work_dir, checkout = (self._folder / f"{name}-{secrets.token_hex(4)}" for name in ("work", "checkout"))
        work_dir.mkdir()
        checkout.mkdir()
        (checkout / "shop.py").write_text(_HEADER + textwrap.dedent(code))
        sink = {"credentials": self.lake.server.credentials if self.lake.server else {}, "dataset": self.lake.dataset}
        sink |= {name: options.pop(name) for name in _SINK if name in options}
        source = {name: options.pop(name) for name in _SOURCE if name in options}
        address = options.pop("address", self.lake.address)
        job = job_with(
            run=Run(
                state_key=options.pop("state_key", "shop.load"),
                dag_id="shop",
                task_id="load",
                map_index=-1,
                run_id=options.pop("run_id", f"manual__{self._runs}"),
                run_type="manual",
                try_number=options.pop("try_number", 1),
                repository="https://example.org/sources",
                commit="c0ffee" + "0" * 34,
            ),
            source=SourceSpec(address="custom://Shop", table="orders", **source),
            sink=SinkSpec(address=address, display_address="the lake", **sink),
            checkout=str(checkout),
            base_dir=str(checkout),
            work_dir=str(work_dir),
            sources=options.pop("state", self.state),
            known_load_ids=list(self.known),
            **options,
        )
        logger = logging.Logger("task", logging.DEBUG)
        handler = logging.Handler()
        self.log = []
        handler.emit = lambda record: self.log.append(record.getMessage())  # type: ignore[method-assign]
        logger.addHandler(handler)
        environ = {**child_environ(os.environ, {}), **(env or {})}
        extra = {}
        if kill_at:
            environ |= {"NILUS_KILL_AT": kill_at, "PYTHONPATH": str(FIXTURES)}
            extra["extra_args"] = ["--entry", "kill_points:run"]
        try:
            loaded = ChildProcess(
                job,
                environ=environ,
                logger=logger,
                on_event=lambda event: None,
                answer=lambda question: {"live": []},
                **extra,
            ).run()
        finally:
            shutil.rmtree(work_dir)
        self.known += loaded.load_ids
        if loaded.keeps_state:
            self.state = loaded.state
        return loaded


@pytest.fixture
def make_runner(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Runner]:
    """`make_runner("file" | "s3", query="")`: runs into an empty folder, or an empty bucket."""

    def make(place: str = "file", query: str = "") -> Runner:
        if place == "file":
            return Runner(tmp_path, FileLake(f"file://{tmp_path}/lake{query}"))
        server = request.getfixturevalue("s3")
        return Runner(tmp_path, FileLake(f"s3://{request.getfixturevalue('s3_bucket')}/lake{query}", server=server))

    return make


@pytest.fixture
def run(make_runner: Callable[..., Runner]) -> Runner:
    """Runs into an empty folder."""
    return make_runner()
