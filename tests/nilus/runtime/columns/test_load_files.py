"""Load files: those that are only loaded from are written for their reader, those that are kept as dlt writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow.parquet as pq
import pytest

from nilus.runtime.columns.batching import AUTO, batching
from nilus.runtime.columns.chunk_files import GROUP_ROWS
from nilus.runtime.engine.context import isolation, write_files

ROWS = 2 * GROUP_ROWS + 1_000


def _rows(late_from: int = 0) -> Iterator[dict[str, Any]]:
    for number in range(ROWS):
        yield {"id": number, "name": f"row {number % 1000}", "late": None if number < late_from else number}


def _written(folder: Path, *, compressed: bool, rows: int = 10_000_000, late_from: int = 0) -> list[Path]:
    """Extract and normalize; return the load files, in the order of their first rows."""
    config: dict[str, Any] = {
        "runtime": {"dlthub_telemetry": False},
        "providers": {"enable_airflow_secrets": False},
        "data_writer": {"disable_compression": True, "buffer_max_items": 50_000},
    }
    write_files(config, rows=rows, compressed=compressed)

    @dlt.source(name="shop", max_table_nesting=0)
    def shop() -> Any:
        return dlt.resource(_rows(late_from), name="items")

    source = shop()
    with isolation(str(folder), config):
        pipeline = dlt.pipeline(
            "files", pipelines_dir=str(folder / "pipelines"), destination=dlt.destinations.duckdb(str(folder / "x.db"))
        )
        with batching(source, AUTO, "parquet"):
            pipeline.extract(source, loader_file_format="parquet")
            pipeline.normalize()
        pipeline.deactivate()
    return sorted((folder / "pipelines").rglob("items.*.parquet"), key=_first_id)


def _first_id(path: Path) -> int:
    return int(pq.read_table(path, columns=["id"]).column("id")[0].as_py())


def _metadata(path: Path) -> Any:
    return pq.ParquetFile(path).metadata


def test_a_file_that_is_only_loaded_from_has_whole_row_groups_and_nothing_compressed(tmp_path: Path) -> None:
    (path,) = _written(tmp_path, compressed=False)
    groups = [_metadata(path).row_group(number) for number in range(_metadata(path).num_row_groups)]
    assert [group.num_rows for group in groups] == [GROUP_ROWS, GROUP_ROWS, ROWS - 2 * GROUP_ROWS]
    assert {group.column(number).compression for group in groups for number in range(group.num_columns)} == {
        "UNCOMPRESSED"
    }


def test_a_file_that_is_kept_has_the_pages_it_was_written_in_and_is_compressed(tmp_path: Path) -> None:
    (path,) = _written(tmp_path, compressed=True)
    groups = [_metadata(path).row_group(number) for number in range(_metadata(path).num_row_groups)]
    assert max(group.num_rows for group in groups) <= 50_000
    assert {group.column(number).compression for group in groups for number in range(group.num_columns)} == {"SNAPPY"}


@pytest.mark.parametrize("compressed", [True, False])
def test_the_rows_of_a_file_are_in_order_whatever_the_groups_are(compressed: bool, tmp_path: Path) -> None:
    (path,) = _written(tmp_path, compressed=compressed)
    table = pq.read_table(path)
    assert table.column("id").to_pylist() == list(range(ROWS))
    assert table.column("name").to_pylist() == [row["name"] for row in _rows()]
    assert len(set(table.column("_dlt_id").to_pylist())) == ROWS


@pytest.mark.parametrize("compressed", [True, False])
def test_every_row_is_in_one_file(compressed: bool, tmp_path: Path) -> None:
    paths = _written(tmp_path, compressed=compressed, rows=60_000)
    assert len(paths) > 1
    ids = [number for path in paths for number in pq.read_table(path).column("id").to_pylist()]
    assert sorted(ids) == list(range(ROWS))


def test_a_column_that_begins_late_is_in_the_table(tmp_path: Path) -> None:
    paths = _written(tmp_path, compressed=False, late_from=ROWS - 10)
    names = ", ".join(f"'{path}'" for path in paths)
    found = duckdb.sql(f"SELECT count(*), count(late) FROM read_parquet([{names}], union_by_name=true)")
    assert found.fetchall() == [(ROWS, 10)]
