"""Every file in dags_examples/ is run."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deployment_fixture import EXAMPLES


def test_git_history_loads_all_commits_first_and_only_new_ones_after(
    run_dag, deployment, example_repositories, git_repo, monkeypatch
):
    project = git_repo({"readme.txt": "one\n"}, name="project")
    project.commit({"readme.txt": "one\ntwo\n", "other.bin": b"\0\1"}, "second")
    monkeypatch.setenv("AIRFLOW_VAR_NILUS_HISTORY_OF", str(project.path))

    first = run_dag(EXAMPLES / "git_history.py")
    assert first.states == {"load_history": "success"}
    result = first.xcom("load_history")
    assert result["rows"] == {"commits": 2, "changed_files": 3}
    assert result["commit"] == example_repositories["history"].head
    assert result["state_version"] == 1

    project.commit({"readme.txt": "three\n"}, "third")
    second = run_dag(EXAMPLES / "git_history.py")
    assert second.xcom("load_history")["rows"] == {"commits": 1, "changed_files": 1}
    assert second.xcom("load_history")["state_version"] == 2
    assert deployment.tables("history") == {"changed_files": 4, "commits": 3}

    third = run_dag(EXAMPLES / "git_history.py")
    assert third.xcom("load_history")["rows"] == {}
    assert third.xcom("load_history")["state_version"] == 2
    assert deployment.tables("history") == {"changed_files": 4, "commits": 3}


def test_the_random_users_of_the_documentation_load_from_the_unchanged_workflow(
    run_dag, deployment, example_repositories
):
    for _ in range(2):
        outcome = run_dag(EXAMPLES / "random_users.py")
        result = outcome.xcom("load_users")
        assert result["rows"] == {"fetch_random_users": 3}
        assert result["dataset"] == "raw"
        assert result["commit"] == example_repositories["documentation"].head
    assert deployment.tables("raw") == {"fetch_random_users": 3}
    assert deployment.rows("SELECT email, phone FROM raw.fetch_random_users ORDER BY 1") == [
        ("aisha.patel@example.com", "080-12345678"),
        ("neha.reddy@example.com", "044-34567890"),
        ("rahul.sharma@example.com", "022-23456789"),
    ]
    assert deployment.rows("SELECT name->>'first' FROM raw.fetch_random_users ORDER BY 1") == [
        ("Aisha",),
        ("Neha",),
        ("Rahul",),
    ]


def test_the_workflow_of_the_documentation_appends_to_the_schema_raw(run_dag, deployment, example_repositories):
    for rows in (2, 4):
        outcome = run_dag(EXAMPLES / "workflow_configuration.py")
        assert outcome.states == {"load_my_data": "success"}
        assert deployment.tables("raw") == {"fetch_data": rows}


def test_the_examples_of_the_documentation_load_what_they_say(run_dag, deployment, example_repositories, monkeypatch):
    first = run_dag(EXAMPLES / "documentation.py")
    assert set(first.states.values()) == {"success"}
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
    monkeypatch.setenv("DOC_ROWS", "5")
    second = run_dag(EXAMPLES / "documentation.py")
    assert _loaded(second)["incremental_state"] == {"fetch_incremental_data": 2}
    assert deployment.tables("doc_incremental_state") == {"fetch_incremental_data": 5}
    assert deployment.tables("doc_multi_resource") == {"activities": 6, "users": 2}
    assert deployment.tables("doc_pagination") == {"fetch_large_dataset": 2500}
    assert deployment.rows("SELECT param1, param2 FROM doc_uri_parameters.fetch_parameters") == [("one", "two")] * 2
    assert {task.task_id for task in second.tasks if task.xcoms["return_value"]["state_version"]} == {
        "incremental_state"
    }


def test_an_error_in_a_source_fails_its_task_and_is_logged_as_the_source_logs_it(
    run_dag, deployment, example_repositories, monkeypatch, caplog
):
    monkeypatch.setenv("DOC_CONNECTION", "refused")
    outcome = run_dag(EXAMPLES / "documentation.py")
    failed = outcome.task("error_handling")
    assert failed.state == "failed"
    assert "ConnectionError: connection refused" in str(failed.errors[-1])
    assert "my-custom-sources/utils.py:" in str(failed.errors[-1])
    logged = [record for record in caplog.records if "Error fetching data" in record.getMessage()]
    assert [record.levelname for record in logged] == ["ERROR"]


class _Api(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers["Authorization"] != "Bearer s3cret/key+1":
            self.send_error(401)
            return
        body = json.dumps([{"id": 1, "name": "Aisha"}, {"id": 2, "name": "Rahul"}] if self.path == "/users" else [])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


def test_an_api_is_read_with_the_key_of_a_connection(run_dag, deployment, example_repositories, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        # The source cuts its address apart with parse_qs: what is filled in is encoded for a query.
        monkeypatch.setenv(
            "AIRFLOW_CONN_SHOP_API",
            json.dumps(
                {
                    "conn_type": "generic",
                    "host": f"http://127.0.0.1:{server.server_port}",
                    "password": "s3cret/key+1",
                }
            ),
        )
        outcome = run_dag(EXAMPLES / "documentation_api.py")
    finally:
        server.shutdown()
        server.server_close()
    assert outcome.states == {"load_api": "success"}
    assert deployment.tables("api") == {"fetch_api_data": 2}


def _loaded(outcome):
    return {task.task_id: task.xcoms["return_value"]["rows"] for task in outcome.tasks}


def test_a_window_of_each_data_interval_is_loaded_once_however_often_it_is_run(
    run_dag, deployment, example_repositories
):
    file = EXAMPLES / "backfill_window.py"
    first = run_dag(file, logical_date=datetime(2026, 1, 5, tzinfo=UTC), run_type="scheduled")
    assert first.xcom("load_orders")["rows"] == {"orders": 24}
    assert first.xcom("load_orders")["reading"] == "windowed"
    again = run_dag.clear(file, first)
    assert again.xcom("load_orders")["rows"] == {"orders": 24}
    earlier = run_dag(file, logical_date=datetime(2026, 1, 3, tzinfo=UTC), run_type="backfill")
    assert earlier.xcom("load_orders")["interval"] == ["2026-01-03T00:00:00+00:00", "2026-01-04T00:00:00+00:00"]
    assert deployment.tables("shop") == {"orders": 48}
    days = deployment.rows("SELECT DISTINCT CAST(placed_at AT TIME ZONE 'UTC' AS DATE) FROM shop.orders ORDER BY 1")
    assert [day.isoformat() for (day,) in days] == ["2026-01-03", "2026-01-05"]


def test_each_resource_has_a_task_of_its_own_whether_found_or_given(run_dag, deployment, example_repositories):
    outcome = run_dag(EXAMPLES / "fan_out.py")
    assert outcome.states == {
        "found.discover": "success",
        "found.load[0]": "success",
        "found.load[1]": "success",
        "given.activities": "success",
        "given.users": "success",
    }
    loaded = [outcome.xcom("found.load", map_index=index)["rows"] for index in (0, 1)]
    assert loaded == [{"users": 2}, {"activities": 3}]
    assert [outcome.xcom(f"given.{name}")["rows"] for name in ("users", "activities")] == loaded
    for schema in ("fan_out_found", "fan_out_given"):
        assert deployment.tables(schema) == {"activities": 3, "users": 2}


def test_every_example_is_run_by_a_test():
    here = Path(__file__).read_text()
    for file in EXAMPLES.glob("*.py"):
        assert f'"{file.name}"' in here or file.name == "demo.py", file.name


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.name)
def test_an_example_imports_nothing_heavy(file):
    if file.name != "demo.py":
        assert "import dlt" not in file.read_text()
