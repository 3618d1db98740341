"""[nilus] package_store, as a deployment sets it: what is extracted is kept there until the task is done."""

from __future__ import annotations

from datetime import datetime

import pytest
from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

# Consumes its file, and in the first try takes the sink away before the rows can be loaded.
CONSUMING = """
import os
import pathlib

import nilus

@nilus.resource(write_disposition="append")
def letters(inbox, lake):
    for path in pathlib.Path(inbox).iterdir():
        lines = path.read_text().split()
        path.unlink()
        yield [{"line": line} for line in lines]
    if not os.path.exists(lake + ".tried"):
        pathlib.Path(lake + ".tried").touch()
        os.environ["NILUS_KILL_AT"] = "stored"

class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, inbox, lake, **kwargs):
        return letters(inbox, lake)
"""


@pytest.fixture
def dying_after_the_store(monkeypatch):
    """Start children with the kill points in place."""
    from pathlib import Path

    from airflow_provider_nilus.child import process
    from airflow_provider_nilus.hooks.custom_source import NilusHook

    fixtures = str(Path(__file__).resolve().parents[2] / "fixtures")
    original = process.ChildProcess.__init__

    def start(self, job, **arguments):
        original(self, job, **{**arguments, "environ": {**arguments["environ"], "PYTHONPATH": fixtures}})

    monkeypatch.setattr(NilusHook, "child_args", ("--entry", "kill_points:run"))
    monkeypatch.setattr(process.ChildProcess, "__init__", start)


def test_what_the_first_try_consumed_is_loaded_by_the_second(
    run_dag, deployment, git_repo, tmp_path, monkeypatch, dying_after_the_store
):
    store, inbox = tmp_path / "packages", tmp_path / "inbox"
    monkeypatch.setenv("AIRFLOW__NILUS__PACKAGE_STORE", str(store))
    inbox.mkdir()
    (inbox / "a").write_text("one two three")
    repository = git_repo({"shop.py": CONSUMING})
    options = {"source-table": "t", "inbox": str(inbox), "lake": str(deployment.lake)}
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator(
            task_id="load",
            repo={"url": repository.url},
            source={"address": "custom://Shop", "options": options},
            sink={"address": "dataos://lakehouse", "options": {"dest-table": "raw", "incremental-strategy": "append"}},
            retries=1,
            retry_delay=0,
        )
    outcome = run_dag(dag)
    task = outcome.task("load")
    assert (task.state, task.try_number) == ("success", 2), task.errors
    assert "SIGKILL" in str(task.errors[0])
    assert outcome.xcom("load")["rows"] == {"letters": 3}
    assert deployment.rows("SELECT line FROM raw.letters ORDER BY line") == [("one",), ("three",), ("two",)]
    assert not [path for path in store.rglob("*") if path.is_file()]
