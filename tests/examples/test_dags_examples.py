"""Every file in dags_examples/ is run."""

from __future__ import annotations

from datetime import UTC, datetime
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


def test_every_example_is_run_by_a_test():
    here = Path(__file__).read_text()
    for file in EXAMPLES.glob("*.py"):
        assert f'"{file.name}"' in here or file.name == "demo.py", file.name


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.name)
def test_an_example_imports_nothing_heavy(file):
    if file.name != "demo.py":
        assert "import dlt" not in file.read_text()
