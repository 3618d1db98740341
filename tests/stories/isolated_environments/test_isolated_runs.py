"""Sources, sinks, state and recovery in an isolated environment: as in the worker's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime

import pytest
from airflow.sdk import DAG
from airflow_fixture import load_dags
from deployment_fixture import EXAMPLES

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

POINTS = ("in_extract", "after_journal", "first_job_done", "before_complete", "end")
NORMAL = {("duckdb", "before_complete"), ("postgres", "first_job_done")}


@pytest.mark.parametrize(
    ("sink", "point"),
    [
        pytest.param(sink, point, marks=[] if (sink, point) in NORMAL else [pytest.mark.soak])
        for sink in ("duckdb", "postgres")
        for point in POINTS
    ],
)
def test_a_retry_after_a_kill_duplicates_and_loses_nothing(sink, point, make_world, real_environment):
    world = make_world(sink)
    world.environment = real_environment
    world.run("a", 120)
    world.killed("b", 300, kill_at=point)
    world.run("b", 300)
    world.check(300)


def test_an_interrupted_load_is_settled_by_the_other_kind_of_environment(make_world, real_environment):
    world = make_world("duckdb")
    shared = world.environment
    world.run("a", 120)
    world.environment = real_environment
    world.killed("b", 300, kill_at="first_job_done")
    world.environment = shared
    world.run("b", 300)
    world.check(300)
    world.environment = real_environment
    world.run("c", 350)
    world.check(350)


def _loaded(outcome):
    return {task.task_id: task.xcoms["return_value"]["rows"] for task in outcome.tasks}


@pytest.mark.soak
def test_the_examples_of_the_documentation_load_what_they_load_in_the_workers_environment(
    run_dag, isolated_deployment, example_repositories
):
    first = run_dag(EXAMPLES / "documentation.py")
    assert set(first.states.values()) == {"success"}
    assert {task.xcoms["return_value"]["environment"] for task in first.tasks} == {"isolated"}
    assert _loaded(first) == {
        "static_source": {"fetch_random_users": 1},
        "uri_parameters": {"fetch_parameters": 1},
        "incremental_state": {"fetch_incremental_data": 3},
        "error_handling": {"fetch_data_with_error_handling": 2},
        "pagination": {"fetch_large_dataset": 2500},
        "multi_resource": {"users": 2, "activities": 3},
        "table_name": {"my_table": 3},
        "default_table_name": {"fetch_random_users": 3},
    }


def test_parameters_of_the_address_and_several_tables_arrive(run_dag, isolated_deployment, example_repositories):
    (dag,) = load_dags(EXAMPLES / "documentation.py").values()
    outcome = run_dag(dag.partial_subset(["uri_parameters", "multi_resource"]))
    assert _loaded(outcome) == {
        "uri_parameters": {"fetch_parameters": 1},
        "multi_resource": {"users": 2, "activities": 3},
    }
    assert {task.xcoms["return_value"]["environment"] for task in outcome.tasks} == {"isolated"}
    rows = isolated_deployment.rows("SELECT param1, param2 FROM doc_uri_parameters.fetch_parameters")
    assert rows == [("one", "two")]


def test_state_goes_on_from_one_run_to_the_next(
    run_dag, isolated_deployment, example_repositories, git_repo, monkeypatch
):
    project = git_repo({"readme.txt": "one\n"}, name="project")
    project.commit({"readme.txt": "one\ntwo\n"}, "second")
    monkeypatch.setenv("AIRFLOW_VAR_NILUS_HISTORY_OF", str(project.path))
    first = run_dag(EXAMPLES / "git_history.py")
    assert first.xcom("load_history")["rows"]["commits"] == 2
    project.commit({"readme.txt": "three\n"}, "third")
    second = run_dag(EXAMPLES / "git_history.py").xcom("load_history")
    assert (second["rows"]["commits"], second["state_version"], second["environment"]) == (1, 2, "isolated")
    assert isolated_deployment.tables("history")["commits"] == 3


LOOKS_AROUND = """
import importlib.metadata, importlib.util, os, shutil, subprocess, sys
import nilus
import pydantic

def _rows():
    yield {
        "python": sys.executable,
        "path": os.pathsep.join(sys.path),
        "pydantic": importlib.metadata.version("pydantic"),
        "greeting": subprocess.run(["greet"], capture_output=True, text=True, check=True).stdout.strip(),
        "python_on_path": os.path.realpath(shutil.which("python")),
        "nilus": nilus.__file__,
        "worker": ",".join(name for name in ("airflow", "sqlalchemy", "git") if importlib.util.find_spec(name)),
    }

class LooksAround(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return nilus.resource(_rows, name="seen")
"""


def _dag(url, **arguments):
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator(
            task_id="load",
            repo={"url": url},
            source={"address": "custom://LooksAround", "options": {"source-table": "t"}},
            sink={"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
            **arguments,
        )
    return dag


@pytest.fixture
def clashing(git_repo, clashing_requirements):
    """A repository whose requirements the worker cannot meet."""
    return git_repo({"around.py": LOOKS_AROUND, "requirements.txt": clashing_requirements}, name="clashing")


def test_requirements_that_clash_with_the_worker_run_in_isolation(
    run_dag, isolated_deployment, clashing, real_environment, monkeypatch
):
    outcome = run_dag(_dag(clashing.url, environment="shared"))
    assert outcome.states == {"load": "failed"}
    assert "requirements.txt:1: pydantic<2 contradicts what is installed" in str(outcome.task("load").errors[-1])

    result = run_dag(_dag(clashing.url)).xcom("load")

    assert result["environment"] == "isolated"
    assert "pydantic==1.10.99" in result["packages"]
    assert not [line for line in result["packages"] if line.startswith("apache-airflow")]
    (seen,) = isolated_deployment.rows(
        "SELECT python, path, pydantic, greeting, nilus, worker, python_on_path FROM raw.seen"
    )
    python, path, version, greeting, nilus_file, worker, python_on_path = seen
    assert "/envs-v1/" in python
    worker_folders = {entry for entry in sys.path if "site-packages" in entry}
    assert not worker_folders & set(path.split(os.pathsep))
    assert os.path.realpath(python) == python_on_path
    assert (version, greeting) == ("1.10.99", "hello")
    assert "/runtime-v1/" in nilus_file
    # GitPython is dlt's own; the rest is the worker's.
    assert set(worker.split(",")) <= {"git"}


CALLS = """
import subprocess
import nilus

def _rows():
    yield {"said": subprocess.run(["nilus-greets"], capture_output=True, text=True, check=True).stdout.strip()}

class LooksAround(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return nilus.resource(_rows, name="seen")
"""


def test_a_source_in_the_workers_environment_calls_a_program_of_its_requirements(
    run_dag, isolated_deployment, real_wheels, git_repo, make
):
    files = {"greets.py": "import dlt\ndef main():\n    print('hello from', dlt.__name__)\n"}
    points = "[console_scripts]\nnilus-greets = greets:main\n"
    make.write(real_wheels, make.wheel("greets", "1.0", files, entry_points=points))
    repository = git_repo({"calls.py": CALLS, "requirements.txt": "greets\n"}, name="calling")

    result = run_dag(_dag(repository.url, environment="shared")).xcom("load")

    assert (result["environment"], result["packages"]) == ("shared", ["greets==1.0"])
    assert isolated_deployment.rows("SELECT said FROM raw.seen") == [("hello from dlt",)]


def test_the_child_imports_nothing_but_its_environment(real_environment):
    done = subprocess.run(
        [
            real_environment.python,
            "-P",
            "-c",
            "import json, runpy, sys; sys.argv = ['x', '--help']\n"
            "try: runpy.run_path(sys.orig_argv[-1], run_name='__main__')\n"
            "except SystemExit: pass\n"
            "print(json.dumps([sys.prefix, sys.path]))",
            *real_environment.program,
        ],
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    prefix, path = json.loads(done.stdout.splitlines()[-1])
    assert prefix == str(real_environment.folder)
    assert {entry for entry in path if "site-packages" in entry} == {
        entry for entry in path if entry.startswith(f"{real_environment.folder}/")
    }
