"""What a child gets from the worker, and what it does not."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from airflow_provider_nilus.task.child_environment import child_environ
from nilus.errors import WorkflowError

SECRET = "correct-horse-battery"


def test_the_environment_is_the_worker_s_less_airflow_s_and_python_s_plus_source_env():
    worker = {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy",
        "AWS_ACCESS_KEY_ID": "key",
        "AIRFLOW_HOME": "/airflow",
        "AIRFLOW_CTX_DAG_ID": "shop",
        "AIRFLOW__CORE__FERNET_KEY": "x",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "x",
        "AIRFLOW_CONN_SHOP": "x",
        "AIRFLOW_VAR_SHOP": "x",
        "__AIRFLOW_SUPERVISOR_FD": "7",
        "_AIRFLOW__STARTUP_MSG": "x",
        "_AIRFLOW__REEXECUTED_PROCESS": "1",
        "_AIRFLOW_PROCESS_CONTEXT": "client",
        "PYTHONPATH": "/dags",
        "PYTHONHOME": "/x",
        "PYTHONSTARTUP": "/x",
        "PYTHONINSPECT": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TOKEN": "the worker's",
    }
    assert child_environ(worker, {"TOKEN": "the source's", "MORE": "1"}) == {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy",
        "AWS_ACCESS_KEY_ID": "key",
        "AIRFLOW_HOME": "/airflow",
        "AIRFLOW_CTX_DAG_ID": "shop",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "TOKEN": "the source's",
        "MORE": "1",
    }


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("A=B", "x"), ("A", "x\0y"), ("A\0", "x"), ("A", 5), ("A", None)]
)
def test_a_variable_that_cannot_be_one_is_refused_without_its_value(name, value):
    with pytest.raises(WorkflowError, match="cannot be an environment variable") as caught:
        child_environ({}, {name: value})
    assert "x\0y" not in str(caught.value)


@pytest.fixture
def seen(child, monkeypatch, work_dir, make_job):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", SECRET)
    monkeypatch.chdir("/")
    job = make_job(work_dir, state={"password": SECRET})
    return child("looks_around", job=job, source_env={"API_TOKEN": SECRET}).run().state


def test_the_child_has_exactly_this_environment(seen):
    assert seen["environ"]["API_TOKEN"] == SECRET
    assert "AIRFLOW__CORE__FERNET_KEY" not in seen["environ"]


def test_no_secret_is_in_the_argument_list(seen):
    assert SECRET not in seen["argv"]


def test_standard_input_is_empty(seen):
    assert (seen["stdin"], seen["fd_0"]) == ("", "/dev/null")


def test_the_child_works_in_its_folder_and_does_not_import_from_it(seen, work_dir):
    assert seen["cwd"] == str(work_dir)
    assert not {"", str(work_dir), "/"} & set(seen["path"])


def test_the_child_leads_its_own_session_and_group(seen):
    assert seen["session"]


def test_the_child_has_its_pipes_and_nothing_else_open(seen):
    pipes = [link for link in seen["fds"] if link.startswith("pipe:")]
    assert len(pipes) == 4  # the job's, output, errors, events
    assert [link for link in seen["fds"] if not link.startswith("pipe:") and link != "/dev/null"] == []


def test_a_grandchild_inherits_none_of_the_private_pipes(seen):
    descriptors, read = seen["grandchild"].strip().split("] ")
    assert descriptors in ("[0, 1, 2", "[0, 1, 2, 3")  # 3: the listing itself
    assert read == "b''"


def test_a_child_starts_without_heavy_imports(seen):
    heavy = {"dlt", "duckdb", "pyarrow", "pydantic", "git", "airflow", "pendulum"}
    assert heavy & set(seen["modules"]) == set()


def test_the_socket_of_airflow_s_supervisor_stays_with_the_task(work_dir, trace, parent):
    """Descriptor 0 of a task's process is that socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        output = parent("plain", "looks_around", stdin=theirs).output()
    assert "'fd_0': '/dev/null'" in output
    assert "socket:" not in output


def test_the_process_module_does_not_import_airflow():
    code = (
        "import sys, airflow_provider_nilus.child.process; sys.exit('airflow' in sys.modules or 'dlt' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd="/")
    assert done.returncode == 0
