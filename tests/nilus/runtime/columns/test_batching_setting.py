"""Who decides whether rows are taken by column: the task, or else the deployment."""

from __future__ import annotations

import pytest

from airflow_provider_nilus.task.settings import deployment_settings
from nilus.errors import WorkflowError
from nilus.runtime.columns.batching import MODES


def test_the_deployment_says_auto_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deployment_settings().batching == "auto"
    for mode in MODES:
        monkeypatch.setenv("AIRFLOW__NILUS__BATCHING", mode.upper())
        assert deployment_settings().batching == mode


def test_a_mode_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__NILUS__BATCHING", "sometimes")
    with pytest.raises(WorkflowError, match="batching") as caught:
        deployment_settings()
    assert "auto or off" in str(caught.value.expected)
