"""A deployment with another dlt, or none: the operator imports, an isolated environment brings its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nilus.environment import Environment
from nilus.environment.python.runtime_needs import runtime_needs
from nilus.errors import DependencyError

Get = Callable[..., Environment]


@pytest.fixture(params=["1.20.0", "1.32.0"])
def other_dlt(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of the path with another dlt, which cannot even be imported."""
    folder = tmp_path / "site"
    metadata = folder / f"dlt-{request.param}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: dlt\nVersion: {request.param}\n")
    (folder / "dlt").mkdir()
    (folder / "dlt" / "__init__.py").write_text("raise ImportError('another dlt')\n")
    monkeypatch.syspath_prepend(folder)
    return folder


def test_the_operator_is_imported(other_dlt: Path) -> None:
    program = (
        "import sys\n"
        "from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator as Operator\n"
        "Operator(task_id='load', workflow='orders.yaml')\n"
        "assert 'dlt' not in sys.modules\n"
    )
    env = {**os.environ, "PYTHONPATH": str(other_dlt)}
    run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_shared_run_is_refused_and_the_message_names_the_way(other_dlt: Path, get: Get) -> None:
    with pytest.raises(DependencyError, match="worker's dlt") as caught:
        get()
    assert ">=1.31" in caught.value.expected
    assert caught.value.found in ("dlt 1.20.0", "dlt 1.32.0")
    assert 'environment="isolated"' in caught.value.remedy


def test_an_isolated_environment_asks_for_a_dlt_that_nilus_works_with(other_dlt: Path) -> None:
    (needed,) = {str(one.specifier) for one in runtime_needs(()).requirements if one.name == "dlt"}
    assert needed == "<1.32,>=1.31"
