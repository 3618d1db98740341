"""Runs of the pipeline into each of the sinks with tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_fixture import PipelineRunner
from sql_tables import SINKS, SqlTables
from typed_tables import TYPED, TypedTables


@pytest.fixture
def run_types(tmp_path: Path) -> PipelineRunner:
    """Run sources."""
    return PipelineRunner(tmp_path)


@pytest.fixture(params=sorted(SINKS))
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTables:
    """Each of the sinks with tables."""
    return SINKS[request.param](request, tmp_path)


@pytest.fixture
def duckdb(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTables:
    """DuckDB, where the sink does not matter."""
    return SINKS["duckdb"](request, tmp_path)


@pytest.fixture
def postgres_sink(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTables:
    """PostgreSQL."""
    return SINKS["postgres"](request, tmp_path)


@pytest.fixture(params=list(TYPED))
def typed(request: pytest.FixtureRequest, tmp_path: Path) -> TypedTables:
    """Each kind of sink."""
    return TYPED[request.param](request, tmp_path)
