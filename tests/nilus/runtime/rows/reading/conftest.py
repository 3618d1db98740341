"""dlt's incrementals as they are outside of runs, after each test."""

from __future__ import annotations

import pytest
from dlt.extract.incremental import Incremental


@pytest.fixture(autouse=True)
def incrementals_of_dlt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what a run replaces in dlt for the whole process."""
    for name in ("bind", "_make_or_get_transformer", "_get_last_value"):
        monkeypatch.setattr(Incremental, name, getattr(Incremental, name))
