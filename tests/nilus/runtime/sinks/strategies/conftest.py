"""Runs of the pipeline into each of the sinks with tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_fixture import PipelineRunner
from sql_tables import SINKS, SqlTables


@pytest.fixture
def run_strategy(tmp_path: Path) -> PipelineRunner:
    """Run sources."""
    return PipelineRunner(tmp_path)


@pytest.fixture(params=sorted(SINKS))
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTables:
    """Each of the sinks with tables."""
    return SINKS[request.param](request, tmp_path)


@pytest.fixture
def postgres_tables(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTables:
    """PostgreSQL, which readers share with whoever writes."""
    return SINKS["postgres"](request, tmp_path)
