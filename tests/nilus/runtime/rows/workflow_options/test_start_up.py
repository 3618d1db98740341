"""What a run of a few rows imports: what it does not need costs more than the run."""

from __future__ import annotations

from pathlib import Path

import pytest
from child_run import child_run
from sql_tables import DuckDBTables

NOT_NEEDED = {"airflow", "git", "pandas", "pyiceberg", "psycopg2", "pydantic", "sqlalchemy", "s3fs", "deltalake"}

CODE = """
import atexit
import pathlib
import sys

import nilus


@nilus.resource(write_disposition="append")
def items():
    yield from ({"id": number, "name": f"item {number}", "price": number * 0.5} for number in range(3))


class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        atexit.register(lambda: pathlib.Path(TOLD).write_text("\\n".join(sys.modules)))
        return items
"""

LATE = """
import nilus


@nilus.resource(write_disposition="append")
def items():
    import pyarrow as pa

    yield from ({"id": number, "what": "row"} for number in range(100))
    frame = pa.table({"id": [100, 101]}).to_pandas()
    yield from ({"id": int(number), "what": type(frame).__module__} for number in frame["id"])
    import pandas as pd

    found = pa.array(pd.Series([102, None]), from_pandas=True)
    yield from ({"id": number, "what": "series"} for number in found.to_pylist() if number)
    yield pd.DataFrame({"id": [103], "what": ["frame"]})


class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return items
"""


@pytest.fixture
def lake(tmp_path: Path) -> DuckDBTables:
    return DuckDBTables(tmp_path / "lake.duckdb")


def test_a_few_rows_into_duckdb_import_nothing_that_is_not_needed(run_pipeline, lake, tmp_path):
    told = tmp_path / "told"
    failed, log, _ = child_run(run_pipeline, CODE.replace("TOLD", repr(str(told))), lake, {}, strategy="append")
    assert not failed, log
    assert lake.rows("SELECT count(*) FROM raw.items") == [(3,)]
    imported = {name.partition(".")[0] for name in told.read_text().splitlines()}
    assert {"dlt", "duckdb", "pyarrow"} <= imported
    assert imported.isdisjoint(NOT_NEEDED), sorted(imported & NOT_NEEDED)


def test_a_source_may_begin_to_use_pandas_in_the_middle(run_pipeline, lake):
    failed, log, _ = child_run(run_pipeline, LATE, lake, {}, strategy="append", page_size=10)
    assert not failed, log
    found = dict(lake.rows("SELECT what, count(*) FROM raw.items GROUP BY 1"))
    assert found.pop("row") == 100
    assert found.pop("series") == found.pop("frame") == 1
    ((module, count),) = found.items()
    assert (module.partition(".")[0], count) == ("pandas", 2)
