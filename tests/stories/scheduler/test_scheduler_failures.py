"""Failing runs under a real scheduler."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def failed(airflow):
    """A run of a DAG with a source that raises (one retry) and an address that names no class (two retries)."""
    run = airflow.wait("failing", airflow.trigger("failing"), state="failed")
    assert run.states == {"raises": "failed", "names_no_class": "failed"}
    return run


def errors(airflow, run, task_id: str, try_number: int = 1) -> list[str]:
    lines = airflow.task_log("failing", run.run_id, task_id, try_number)
    return [line.event for line in lines if line.level == "error" and line.logger == "nilus.source"]


def failure(airflow, run, task_id: str, try_number: int = 1) -> dict[str, str]:
    lines = airflow.task_log("failing", run.run_id, task_id, try_number)
    (line,) = [line for line in lines if line.event == "Task failed with exception"]
    return {error["exc_type"]: error["exc_value"] for error in line.fields["error_detail"]}


def test_the_log_shows_the_sources_own_traceback_with_file_and_line(airflow, failed, shop):
    source = (shop.sources.path / "failing.py").read_text().splitlines()
    line = 1 + next(number for number, text in enumerate(source) if 'order["price"]' in text)
    (traceback,) = errors(airflow, failed, "raises")
    assert f'failing.py", line {line}, in price\n    return order["pieces"] * order["price"]' in traceback
    assert "KeyError: 'price'" in traceback


def test_the_failure_names_the_resource_the_place_and_the_error(airflow, failed, shop):
    source = (shop.sources.path / "failing.py").read_text().splitlines()
    line = 1 + next(number for number, text in enumerate(source) if 'order["price"]' in text)
    message = failure(airflow, failed, "raises")["SourceError"]
    assert f"Resource 'orders' failed at failing.py:{line}: KeyError: 'price'" in message


def test_an_error_that_another_try_can_help_is_tried_again(airflow, failed):
    assert failed.task("raises")["try_number"] == 2
    assert "SourceError" in failure(airflow, failed, "raises", try_number=2)


def test_an_error_that_no_try_can_help_uses_no_retry(airflow, failed):
    task = failed.task("names_no_class")
    assert task["max_tries"] == 2
    assert task["try_number"] == 1
    assert "NoSuchSource" in failure(airflow, failed, "names_no_class")["AirflowFailException"]


def test_a_failed_run_has_loaded_nothing(failed, shop):
    assert shop.deployment.tables("failing") == {}
