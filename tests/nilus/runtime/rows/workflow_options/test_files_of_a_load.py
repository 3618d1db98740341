"""How many rows are written together, how many are in a file, and what the files are: seen in the files."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest

KINDS = ["single", "lists", "frames", "tables"]


def _row_groups(path):
    metadata = pq.ParquetFile(path).metadata
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


@pytest.mark.parametrize("kind", ["single", "lists"])
def test_no_more_rows_than_page_size_are_written_together(kind, run_to_folder, rows_of):
    run_to_folder(rows_of(600, kind), page_size=100)
    (path,) = run_to_folder.paths("numbers")
    assert _row_groups(path) == [100] * 6


def test_a_list_that_is_longer_than_page_size_is_written_in_parts(run_to_folder, rows_of):
    run_to_folder(rows_of(200, "lists"), page_size=20)
    (path,) = run_to_folder.paths("numbers")
    assert _row_groups(path) == [20] * 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_has_as_many_rows_as_loader_file_size_says(kind, run_to_folder, rows_of):
    run_to_folder(rows_of(1000, kind), page_size=100, loader_file_size=300)
    counts = [pq.ParquetFile(path).metadata.num_rows for path in run_to_folder.paths("numbers")]
    assert sum(counts) == 1000
    assert sorted(counts) == [100, 300, 300, 300]


def test_a_file_is_no_larger_than_asked_for_where_a_page_is(run_to_folder, rows_of):
    run_to_folder(rows_of(1000, "single"), loader_file_size=250)
    counts = [pq.ParquetFile(path).metadata.num_rows for path in run_to_folder.paths("numbers")]
    assert counts == [250] * 4


@pytest.mark.parametrize("kind", ["single", "tables"])
@pytest.mark.parametrize("wanted", ["parquet", "jsonl", "csv", None])
def test_files_have_the_format_asked_for(wanted, kind, run_to_folder, rows_of):
    run_to_folder(rows_of(50, kind), loader_file_format=wanted)
    (path,) = run_to_folder.paths("numbers")
    suffix = wanted or "parquet"
    assert path.suffix == f".{suffix}"
    if suffix == "parquet":
        found = pq.read_table(path).column("n").to_pylist()
    elif suffix == "csv":
        with path.open(newline="") as file:
            found = [int(row["n"]) for row in csv.DictReader(file)]
    else:
        found = [json.loads(line)["n"] for line in path.read_text().splitlines()]
    assert sorted(found) == list(range(50))
