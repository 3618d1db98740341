"""Where a staging bucket is named, files are in it before the warehouse is told of them."""

from __future__ import annotations

import dlt
import pyarrow.parquet as pq
import pytest

from nilus.protocol.job import SinkSpec
from nilus.runtime import sinks
from nilus.runtime.engine.context import config_values, isolation, write_files

ADDRESS = "redshift://user:password@cluster.example.com:5439/database"


@pytest.mark.parametrize("wanted", ["parquet", "jsonl"])
def test_the_files_of_a_load_are_put_into_the_staging_bucket(wanted, s3, s3_bucket, run_pipeline, tmp_path):
    spec = SinkSpec(
        address=ADDRESS,
        display_address=ADDRESS,
        dataset="raw",
        strategy="append",
        loader_file_format=wanted,
        loader_file_size=100,
        staging_bucket=f"s3://{s3_bucket}/stage",
        credentials={"staging": s3.credentials},
    )
    job = run_pipeline.job("", spec, page_size=100)
    sink = sinks.sink(spec)
    file_format = sink.file_format(sink.destination())
    (tmp_path / "run").mkdir()
    config = config_values(job, {})
    write_files(config, rows=sink.file_rows, compressed=sink.keeps_files)
    with isolation(str(tmp_path / "run"), config):
        # Nobody has a warehouse to test with; this destination is told of files and loads nothing.
        warehouse = dlt.destinations.dummy(completed_prob=1.0, loader_file_format=file_format)
        pipeline = dlt.pipeline(
            "staged", destination=warehouse, staging=sink.staging_files(), dataset_name="raw", pipelines_dir=tmp_path
        )
        rows = dlt.resource([{"n": number} for number in range(250)], name="numbers")
        pipeline.run(rows, loader_file_format=file_format)
    keys = [key for key in s3.keys(s3_bucket, "stage/") if "/numbers/" in key]
    assert {key.rpartition(".")[2] for key in keys} == {wanted}
    if wanted == "parquet":
        found = sorted(pq.read_table(f"{s3_bucket}/{key}", filesystem=s3.arrow()).num_rows for key in keys)
        assert found == [50, 100, 100]
