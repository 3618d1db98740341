"""Runs into a folder, with rows by column and one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from file_lake import FileLake
from job_fixture import change_job
from run_fixture import Outcome, PipelineRunner

from nilus.protocol.job import SinkSpec

_SINK = ("strategy", "loader_file_size", "loader_file_format")


class FolderRun:
    """Runs sources into a folder.

    Attributes:
        lake: what is in the folder.
        runner: starts the runs.
        batching: how their rows are taken.
    """

    def __init__(self, runner: PipelineRunner, batching: str) -> None:
        self.runner = runner
        self.batching = batching
        self.lake = FileLake(f"file://{runner.folder}/lake")

    def __call__(self, code: str, **options: Any) -> Outcome:
        """Run a source that is called `Shop` once; options go where they belong by their names."""
        sink = {"strategy": "append"} | {name: options.pop(name) for name in _SINK if name in options}
        spec = SinkSpec(address=self.lake.address, display_address="the lake", dataset=self.lake.dataset, **sink)
        return self.runner.run(change_job(self.runner.job(code, spec, **options), batching=self.batching))

    def paths(self, table: str) -> list[Path]:
        """Return the files of a table, in the order in which they were begun."""
        return sorted((Path(self.lake.root) / name for name in self.lake.table_files(table)), key=_begun)


def _begun(path: Path) -> float:
    return path.stat().st_mtime


@pytest.fixture(params=["auto", "off"])
def run_to_folder(request: pytest.FixtureRequest, run_pipeline: PipelineRunner) -> FolderRun:
    """Run into a folder, both ways."""
    return FolderRun(run_pipeline, request.param)


@pytest.fixture
def rows_of() -> Callable[[int, str], str]:
    """Return the code of a source that yields numbered rows: `single`, in `lists` of 50, as `frames` or `tables`."""
    yields = {
        "single": 'yield from ({"n": n, "text": f"text {n}"} for n in range(COUNT))',
        "lists": 'yield from ([{"n": n + m} for m in range(50)] for n in range(0, COUNT, 50))',
        "frames": 'yield from (pd.DataFrame({"n": range(n, n + 50)}) for n in range(0, COUNT, 50))',
        "tables": 'yield from (pa.table({"n": list(range(n, n + 50))}) for n in range(0, COUNT, 50))',
    }
    imports = {"frames": "import pandas as pd\n", "tables": "import pyarrow as pa\n"}

    def code(count: int, kind: str) -> str:
        return (
            f"{imports.get(kind, '')}@nilus.resource\ndef numbers():\n    {yields[kind].replace('COUNT', str(count))}\n"
            "class Shop(CustomSource):\n    def nilus_source(self, uri, table, **kwargs):\n        return numbers\n"
        )

    return code
