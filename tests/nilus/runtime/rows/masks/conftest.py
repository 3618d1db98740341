"""Masks on rows in memory, and in runs of the pipeline into each of the sinks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from run_fixture import PipelineRunner
from sql_tables import SINKS, SqlTables

from nilus.runtime.rows.masks.algorithms import algorithm
from nilus.runtime.rows.masks.columns import MaskColumns
from nilus.values.mask_rule import parse


@pytest.fixture
def masks() -> Any:
    """Make the masks of a workflow."""

    def make(rules: Mapping[str, str], run_key: bytes = b"k" * 32) -> MaskColumns:
        return MaskColumns({name: algorithm(parse(rule), run_key) for name, rule in rules.items()}, NamingConvention())

    return make


@pytest.fixture
def run_masked(tmp_path: Path) -> PipelineRunner:
    """Run sources with masks."""
    return PipelineRunner(tmp_path)


@pytest.fixture(params=sorted(SINKS))
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTables:
    """Each of the sinks with tables."""
    return SINKS[request.param](request, tmp_path)


@pytest.fixture
def duckdb(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTables:
    """DuckDB, where the sink does not matter."""
    return SINKS["duckdb"](request, tmp_path)
