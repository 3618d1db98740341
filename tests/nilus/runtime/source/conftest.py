"""A repository of Python files, and what it takes to find, call and load a source of it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.extract import DltSource
from job_fixture import job_with, run_of

from nilus.protocol.job import SinkSpec, SourceSpec
from nilus.runtime.engine.context import isolation
from nilus.runtime.source import call, class_finder

_VALUES = {
    "runtime": {"dlthub_telemetry": False, "log_level": "WARNING", "intercept_signals": False},
    "providers": {"enable_airflow_secrets": False},
    "normalize": {"parquet_normalizer": {"add_dlt_load_id": True}},
}

IN_A_CHILD = """
import json, sys
from pathlib import Path
from nilus.runtime.source import class_finder
base_dir, checkout, address, expression = sys.argv[1:5]
class_finder.import_roots(Path(base_dir), Path(checkout))
found = class_finder.find(address, base_dir=Path(base_dir), checkout=Path(checkout))
print(json.dumps(eval(expression, {"found": found, "sys": sys})))
"""


class Repository:
    """A checkout with its base directory, written by the test.

    `find`, `source` and `load` work in the process of the test; what they import is forgotten afterwards.
    """

    def __init__(self, root: Path, base_dir: str = "my-custom-sources") -> None:
        self.checkout = root
        self.base_dir = root / base_dir
        self.base_dir.mkdir(parents=True, exist_ok=True)
        self.scratch = root.parent / f"{root.name}-scratch"

    def write(self, name: str, text: str) -> Path:
        """Write a file of the base directory; a name that begins with `/` is taken from the checkout's root."""
        path = self.checkout / name[1:] if name.startswith("/") else self.base_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def find(self, address: str) -> class_finder.FoundClass:
        class_finder.import_roots(self.base_dir, self.checkout)
        return class_finder.find(address, base_dir=self.base_dir, checkout=self.checkout)

    def source(
        self,
        address: str,
        *,
        interval: tuple[datetime | None, datetime | None] | None = None,
        environ: Mapping[str, str] | None = None,
        resources: list[str] | None = None,
        strategy: str = "replace",
        **spec: Any,
    ) -> DltSource:
        job = job_with(
            run=run_of(),
            source=SourceSpec(**{"address": address, "table": "my_data", **spec}),
            sink=SinkSpec(address="duckdb:///x", display_address="duckdb:///x", dataset="raw", strategy=strategy),
            checkout=str(self.checkout),
            base_dir=str(self.base_dir),
            work_dir=str(self.scratch),
            resources=resources,
        )
        found = self.find(job.source.address)
        return call.call(found, job, interval=interval, environ=environ or {})

    def pipeline(self) -> dlt.Pipeline:
        return dlt.pipeline(
            "loader_test",
            pipelines_dir=str(self.scratch / "pipelines"),
            destination=dlt.destinations.duckdb(str(self.scratch / "sink.duckdb")),
            dataset_name="raw",
        )

    def load(self, address: str, **spec: Any) -> dict[str, list[dict[str, Any]]]:
        """Call the source, load what it returns into DuckDB, and return all rows by table, without dlt's columns."""
        self.scratch.mkdir(exist_ok=True)
        with isolation(str(self.scratch), _VALUES):
            source = self.source(address, **spec)
            source.max_table_nesting = 0
            pipeline = self.pipeline()
            pipeline.extract(source)
            pipeline.normalize()
            pipeline.load(raise_on_failed_jobs=True)
            return {
                table: _rows(pipeline, table)
                for table in pipeline.schemas[source.name].data_table_names(seen_data_only=True)
            }

    def in_a_child(self, address: str, expression: str) -> Any:
        """Find the class in an interpreter of its own and return `expression`, in which it is `found`."""
        done = subprocess.run(
            [sys.executable, "-c", IN_A_CHILD, str(self.base_dir), str(self.checkout), address, expression],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def _rows(pipeline: dlt.Pipeline, table: str) -> list[dict[str, Any]]:
    with pipeline.sql_client() as client, client.execute_query(f"SELECT * FROM {table}") as cursor:
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{name: value for name, value in row.items() if not name.startswith("_dlt_")} for row in rows]


@pytest.fixture(autouse=True)
def forget_imports(tmp_path: Path) -> Iterator[None]:
    """Take what the test imported out of `sys.modules` and `sys.path`."""
    modules, path, flag = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    yield
    sys.path[:] = path
    sys.dont_write_bytecode = flag
    places = {
        name: [str(place) for place in (getattr(module, "__file__", None), *getattr(module, "__path__", ())) if place]
        for name, module in list(sys.modules.items())
        if name not in modules
    }
    for name, found in places.items():
        if any(place.startswith(str(tmp_path)) or "dags_examples" in place for place in found):
            del sys.modules[name]
    sys.path_importer_cache.clear()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "checkout")


@pytest.fixture
def make_repository(tmp_path: Path) -> Callable[..., Repository]:
    def make(name: str = "checkout", base_dir: str = "my-custom-sources") -> Repository:
        return Repository(tmp_path / name, base_dir)

    return make
