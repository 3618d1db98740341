"""Addresses of sinks: which are known, what is read out of them, and what is refused."""

from __future__ import annotations

import pytest
from job_fixture import job_with

from nilus.errors import DestinationError
from nilus.protocol.job import Run, SinkSpec, SourceSpec
from nilus.runtime.columns.chunk_files import TableWriter
from nilus.runtime.engine.context import config_values, isolation
from nilus.runtime.sinks import sink
from nilus.runtime.sinks.databases.duckdb import DuckDBSink
from nilus.runtime.sinks.databases.postgres import PostgresSink
from nilus.values.schemes import SCHEMES


def _spec(address, dataset="raw", **options):
    return SinkSpec(address=address, display_address="shown://***", dataset=dataset, **options)


@pytest.fixture
def alone(tmp_path):
    """dlt's configuration as a run has it."""
    run = Run(
        state_key="k", dag_id="d", task_id="t", map_index=-1, run_id="r", run_type="manual", try_number=1,
        repository="https://example.org/r", commit="c" * 40,
    )  # fmt: skip
    job = job_with(
        run=run, source=SourceSpec(address="custom://S", table="t"), sink=_spec("duckdb:////x"), checkout="/",
        base_dir="/", work_dir=str(tmp_path),
    )  # fmt: skip
    with isolation(str(tmp_path), config_values(job, {})):
        yield


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("duckdb:////data/lake.duckdb", DuckDBSink),
        ("DuckDB:////data/lake.duckdb", DuckDBSink),
        ("postgresql://u:p@h/d", PostgresSink),
        ("postgres://u:p@h/d", PostgresSink),
        ("postgresql+psycopg2://u:p@h/d", PostgresSink),
    ],
)
def test_the_scheme_names_the_sink(address, kind):
    assert type(sink(_spec(address))) is kind


@pytest.mark.parametrize("address", ["oracle://u:p@h/d", "lake.duckdb", "", "dataos://lakehouse"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(address):
    with pytest.raises(DestinationError, match="No sink knows the address shown") as caught:
        sink(_spec(address))
    assert "duckdb://" in caught.value.expected
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("duckdb:////data/lake.duckdb", "/data/lake.duckdb"),
        ("duckdb:////data/a%20b/l%C3%A4ke.duckdb", "/data/a b/läke.duckdb"),
    ],
)
def test_a_duckdb_address_is_a_path(address, path):
    assert str(DuckDBSink(_spec(address)).path) == path


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("duckdb:///", "names no file"),
        ("duckdb:///:memory:", "names no file"),
        ("duckdb://:memory:", "names no file"),
        ("duckdb:///lake.duckdb", "not made absolute"),
        ("duckdb:////data/lake.duckdb?threads=4", "has parameters"),
    ],
)
def test_a_duckdb_address_that_names_no_file_is_refused(address, match):
    with pytest.raises(DestinationError, match=match):
        DuckDBSink(_spec(address)).path  # noqa: B018


@pytest.mark.parametrize(
    ("file", "dataset"),
    [("raw.duckdb", "raw"), ("Raw.v2.duckdb", "RAW"), ("raw", "raw"), (".raw.db", "raw"), ("raw_staging.db", "raw")],
)
def test_a_schema_and_a_file_of_one_name_are_refused(tmp_path, file, dataset):
    with pytest.raises(DestinationError, match="has the name of the DuckDB file") as caught:
        DuckDBSink(_spec(f"duckdb:///{tmp_path / file}", dataset)).destination()
    assert file in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_made_and_one_that_cannot_be_is_named(tmp_path):
    DuckDBSink(_spec(f"duckdb:///{tmp_path}/new/folder/lake.duckdb")).destination()
    assert (tmp_path / "new" / "folder").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(DestinationError, match="folder of the DuckDB file cannot be made"):
        DuckDBSink(_spec(f"duckdb:///{tmp_path}/file/lake.duckdb")).destination()


@pytest.mark.parametrize(
    ("address", "missing"),
    [
        ("postgresql://h/d", "username, password"),
        ("postgresql://u@h/d", "password"),
        ("postgresql://u:p@h", "database"),
        ("postgresql://u:p@/d", "host"),
        ("postgresql://u:p@h:port/d", "anything that can be read"),
    ],
)
def test_an_incomplete_postgresql_address_is_refused_with_what_it_lacks(address, missing):
    with pytest.raises(DestinationError, match="PostgreSQL address is not complete") as caught:
        PostgresSink(_spec(address)).destination()
    assert caught.value.found == f"an address without {missing}"


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("postgresql://u:p%40ss@h/d", ("p%40ss", "p@ss")),
        ("postgresql://u:pa@ss@h/d", ("pa@ss",)),
        ("postgresql://u@h/d", ()),
    ],
)
def test_the_password_of_an_address_is_known_as_written_and_decoded(address, secrets):
    assert PostgresSink(_spec(address)).secrets == secrets


def test_each_sink_loads_the_format_that_suits_it_unless_the_workflow_names_one(alone, tmp_path):
    lake = f"duckdb:///{tmp_path}/lake.duckdb"
    for address, wanted, expected in [
        (lake, None, "parquet"),
        (lake, "jsonl", "jsonl"),
        ("postgresql://u:p@h/d", None, "parquet"),
        ("postgresql://u:p@h/d", "parquet", "parquet"),
        ("postgresql://u:p@h/d", "csv", "csv"),
        ("postgresql://u:p@h/d", "insert_values", "insert_values"),
    ]:
        target = sink(_spec(address, loader_file_format=wanted))
        assert target.file_format(target.destination()) == expected


def test_files_that_are_copied_are_written_for_postgres_alone():
    found = {scheme for scheme in SCHEMES if sink(_spec(f"{scheme}://u:p@h/d")).table_writer is not TableWriter}
    assert found == {"postgres", "postgresql"}


def test_a_format_the_sink_does_not_load_is_refused_with_those_it_does(alone, tmp_path):
    target = sink(_spec(f"duckdb:///{tmp_path}/lake.duckdb", loader_file_format="csv"))
    with pytest.raises(DestinationError, match="duckdb does not load files of the format csv") as caught:
        target.file_format(target.destination())
    assert "parquet" in caught.value.expected
