"""What others hear of a load under a real scheduler: DAGs scheduled on a table, and a lineage service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scheduler_fixture import running_airflow

DAGS = Path(__file__).parent / "scheduled_dags"


@pytest.fixture(scope="module")
def airflow(postgres, shop):
    """An Airflow that makes runs by itself, and tells a file of lineage."""
    transport = {"type": "file", "log_file_path": str(shop.lineage), "append": True}
    environ = {
        **shop.environ,
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
    }
    with running_airflow(postgres, environ) as airflow:
        airflow.add_dags(*sorted(DAGS.glob("*.py")))
        yield airflow


@pytest.fixture(scope="module")
def loads(airflow):
    """Three runs: one without rows, one that fails, one of three rows."""
    run_ids = {rows: airflow.trigger("telling", {"rows": rows}) for rows in ("0", "broken", "3")}
    for rows, run_id in run_ids.items():
        airflow.wait("telling", run_id, state="failed" if rows == "broken" else "success")
    return run_ids


def test_a_dag_scheduled_on_a_table_is_started_by_a_load_and_not_by_a_failed_or_an_empty_one(airflow, shop, loads):
    airflow._wait(
        lambda: airflow.runs("told"), 60.0, lambda: f"{airflow.get('/assets')} {airflow.get('/assets/events')}"
    )
    (run,) = airflow.runs("told")
    airflow.wait("told", run["dag_run_id"])
    loaded = airflow.xcom("telling", loads["3"], "load")
    assert airflow.xcom("told", run["dag_run_id"], "hear") == [
        {
            "rows": 3,
            "load_ids": loaded["load_ids"],
            "commit": shop.sources.head,
            "repository": shop.sources.url,
            "interval": None,
        }
    ]
    assert airflow.xcom("telling", loads["0"], "load")["rows"] == {}


@pytest.fixture(scope="module")
def lineage(airflow, shop, loads):
    """The events of the three runs, by what they tell: the rows asked for, then START, COMPLETE or FAIL."""
    by_run = {run_id: rows for rows, run_id in loads.items()}

    def written():
        found = {}
        for line in shop.lineage.read_text().splitlines() if shop.lineage.exists() else ():
            event = json.loads(line)
            run = event["run"]["facets"].get("airflow", {}).get("dagRun", {}).get("run_id")
            if event["job"]["name"] == "telling.load" and run in by_run:
                found[by_run[run], event["eventType"]] = event
        wanted = {(rows, "START") for rows in loads} | {("0", "COMPLETE"), ("3", "COMPLETE"), ("broken", "FAIL")}
        return found if wanted <= found.keys() else None

    return airflow._wait(written, 60.0, lambda: shop.lineage.read_text() if shop.lineage.exists() else "no lineage")


def test_lineage_hears_at_the_start_what_will_be_read(lineage):
    (read,) = lineage["3", "START"]["inputs"]
    assert (read["namespace"], read["name"]) == ("custom://Telling", "orders")


def test_lineage_hears_which_code_loaded_which_table_with_its_columns_and_rows(lineage, shop):
    event = lineage["3", "COMPLETE"]
    code = event["job"]["facets"]["sourceCodeLocation"]
    assert (code["type"], code["version"], code["repoUrl"]) == ("git", shop.sources.head, shop.sources.url)
    (table,) = event["outputs"]
    assert table["namespace"] == f"duckdb://{shop.deployment.lake}"
    assert table["name"] == "telling.orders"
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 3
    columns = {field["name"]: field for field in table["facets"]["schema"]["fields"]}
    assert columns["order_id"]["type"] == "bigint"
    assert columns["card"]["type"] == "text"
    assert columns["card"]["description"] == "masked"
    assert "description" not in columns["order_id"]


def test_lineage_hears_what_the_source_says_of_itself_where_the_dag_says_nothing(lineage):
    for event in (lineage["3", "COMPLETE"], lineage["broken", "FAIL"]):
        told = event["job"]["facets"]["documentation"]
        assert told["description"] == "A source of as many rows as its address says."


def test_lineage_of_an_empty_run_names_no_table(lineage):
    assert lineage["0", "COMPLETE"]["outputs"] == []


def test_lineage_hears_of_a_failure_what_was_read_by_which_code(lineage, shop):
    event = lineage["broken", "FAIL"]
    assert [read["namespace"] for read in event["inputs"]] == ["custom://Telling"]
    assert event["job"]["facets"]["sourceCodeLocation"]["version"] == shop.sources.head
    assert event["outputs"] == []
