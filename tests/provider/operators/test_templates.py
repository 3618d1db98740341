"""What a run's configuration can do through templates: give values, and nothing else."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

SOURCE = """
import nilus
from urllib.parse import parse_qs, urlsplit

class Shop(nilus.CustomSource):
    def handles_incrementality(self):
        return False

    def nilus_source(self, uri, table, **kwargs):
        found = parse_qs(urlsplit(uri).query).get("key", [""])[0]
        yield nilus.resource([{"key_length": len(found), "email": "a@b.c"}], name="rows", write_disposition="append")
"""
DOCUMENT = """
repo: {url: "%s"}
source:
  address: custom://Shop
  options:
    source-table: {{ dag_run.conf['table'] }}
    mask: {email: hash}
{%% if dag_run.conf.get('raw') %%}
sink: {address: "duckdb:///{{ dag_run.conf['t'] }}.duckdb", options: {dest-table: raw}}
{%% else %%}
sink: {address: "dataos://lakehouse", options: {dest-table: other}}
{%% endif %%}
"""


def _dag(**arguments):
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator(task_id="load", interval=None, retries=2, **arguments)
    return dag


def test_a_value_of_the_configuration_injects_no_key_and_removes_no_mask(run_dag, deployment, git_repo):
    document = DOCUMENT % git_repo({"shop.py": SOURCE}).url
    outcome = run_dag(_dag(workflow=document), conf={"table": "t\n    mask: {email: none}\n    x: 'a"})
    assert outcome.states == {"load": "success"}
    [(email,)] = deployment.rows("SELECT email FROM other.rows")
    assert email != "a@b.c"


@pytest.mark.parametrize("name", ["AIRFLOW__CORE__FERNET_KEY", "HOME"])
def test_a_placeholder_in_the_configuration_is_not_filled(run_dag, deployment, git_repo, monkeypatch, name):
    monkeypatch.setenv(name, "the-value-of-the-worker")
    document = DOCUMENT % git_repo({"shop.py": SOURCE}).url
    outcome = run_dag(_dag(workflow=document), conf={"table": "t", "raw": True, "t": f"{{{name}}}"})
    [error] = outcome.task("load").errors
    assert type(error).__name__ == "AirflowFailException"
    assert f"{{{name}}} out of a template" in str(error)
    assert "the-value-of-the-worker" not in json.dumps(outcome.task("load").xcoms) + str(error)


def test_what_fills_an_address_reaches_the_source_whole_and_no_asset_and_no_result(
    run_dag, deployment, git_repo, tmp_path
):
    outcome = run_dag(
        _dag(
            repo={"url": git_repo({"shop.py": SOURCE}).url},
            source={"address": "custom://Shop?key={API_KEY}", "options": {"source-table": "t"}},
            sink={"address": "duckdb:///{FOLDER}/x.duckdb", "options": {"dest-table": "raw"}},
            source_env={"API_KEY": "s3cr3t-key+&/=x", "FOLDER": str(tmp_path)},
        )
    )
    assert outcome.states == {"load": "success"}
    result = json.dumps(outcome.xcom("load"))
    assert str(tmp_path) not in result
    assert "%7BFOLDER%7D" in result

    import duckdb

    with duckdb.connect(str(tmp_path / "x.duckdb")) as database:
        assert database.execute("SELECT key_length FROM raw.rows").fetchall() == [(15,)]


@pytest.mark.parametrize("template", ["{{ nothing.at.all }}", "{{ 1 +", "{% include 'none.yaml' %}"])
def test_a_template_that_cannot_be_rendered_fails_for_good(run_dag, deployment, template):
    outcome = run_dag(_dag(workflow=f"repo: {template}"))
    assert [type(error).__name__ for error in outcome.task("load").errors] == ["AirflowFailException"]


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("postgresql://{USER}:***@{HOST}:{PORT}/d", "postgres://{HOST}:5432/d/raw/t"),
        ("postgresql://{HOST}/d", "postgres://{HOST}:5432/d/raw/t"),
        ("postgresql://h:6543/d", "postgres://h:6543/d/raw/t"),
    ],
)
def test_a_table_is_named_by_the_placeholders_of_its_sinks_address(address, uri):
    from airflow.sdk import Asset

    from airflow_provider_nilus.reporting.table_name import table_name

    assert table_name(address, "raw", "t").uri == uri
    assert Asset(uri).uri
