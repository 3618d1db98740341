"""Good runs under a real scheduler."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def talk(airflow):
    """The log of a run of the source that says something in every way."""
    run_id = airflow.trigger("talking")
    airflow.wait("talking", run_id)
    return airflow.task_log("talking", run_id, "load")


def test_an_example_loads_everything_first_and_only_what_is_new_after(airflow, shop):
    shop.project.commit({"readme.txt": "one\n"}, "first")
    shop.project.commit({"readme.txt": "two\n", "other.txt": "one\n"}, "second")
    run_ids = [airflow.trigger("git_history")]
    airflow.wait("git_history", run_ids[0])
    tip = shop.project.commit({"readme.txt": "three\n"}, "third")
    run_ids.append(airflow.trigger("git_history"))
    airflow.wait("git_history", run_ids[1])

    first, second = (airflow.xcom("git_history", run_id, "load_history") for run_id in run_ids)
    assert first["rows"] == {"commits": 2, "changed_files": 3}
    assert second["rows"] == {"commits": 1, "changed_files": 1}
    assert first["commit"] == second["commit"] == shop.examples["history"].head
    assert shop.deployment.tables("history") == {"changed_files": 4, "commits": 3}
    assert shop.deployment.rows("SELECT subject FROM history.commits ORDER BY committed_at") == [
        ("first",),
        ("second",),
        ("third",),
    ]

    record = json.loads(airflow.variable("nilus__git_history.load_history"))
    assert record["head"]["version"] == 2
    assert record["head"]["run_id"] == run_ids[1]
    assert record["head"]["load_ids"] == second["load_ids"]
    assert record["head"]["state"]["git_history"]["resources"]["commits"] == {"tip": tip}
    assert [commit["run_id"] for commit in record["history"]] == [run_ids[0]]

    for run_id in run_ids:
        lines = airflow.task_log("git_history", run_id, "load_history")
        assert any(shop.examples["history"].head in line.event for line in lines)
        assert [line for line in lines if line.level in ("error", "critical")] == []


def test_a_sources_log_records_keep_their_level_and_their_logger(talk):
    said = [(line.level, line.event) for line in talk if line.logger == "shop.orders"]
    assert said == [("info", "said at INFO"), ("warning", "said at WARNING")]


def test_what_a_source_prints_is_logged_at_info_on_either_stream(talk):
    printed = {(line.level, line.logger, line.event) for line in talk if "printed" in line.event}
    assert printed == {
        ("info", "nilus.source", "printed"),
        ("info", "nilus.source", "printed to standard error"),
    }


def test_a_good_run_logs_nothing_as_an_error(talk):
    assert [line for line in talk if line.level in ("error", "critical")] == []


def test_the_log_names_the_commit_that_ran(talk, shop):
    assert any(f"at commit {shop.sources.head}" in line.event for line in talk)


def test_the_log_closes_with_a_table_of_what_was_loaded(talk):
    (table,) = [line.event.splitlines() for line in talk if line.event.startswith("Loaded:")]
    assert [line.split() for line in table[1:4:2]] == [["table", "rows", "disposition"], ["orders", "20", "append"]]
    for step in ("extract", "normalize", "load"):
        assert f"{step} " in table[-1]


def test_the_log_shows_the_progress_of_a_run_that_takes_its_time(talk):
    progress = [line.event for line in talk if line.event.startswith("extract ")]
    assert any("orders 20 rows" in line for line in progress), progress
