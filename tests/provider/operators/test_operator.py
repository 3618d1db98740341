"""The operator: what a DAG's author writes, and what comes of it."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

TWO_TABLES = """
import nilus

@nilus.resource(write_disposition="append")
def users():
    last = nilus.current.resource_state().setdefault("runs", 0) + 1
    nilus.current.resource_state()["runs"] = last
    yield {"run": last}

@nilus.resource(write_disposition="append")
def orders():
    last = nilus.current.resource_state().setdefault("runs", 0) + 1
    nilus.current.resource_state()["runs"] = last
    yield {"run": last}

@nilus.source
def shop():
    return users, orders

class Shop(nilus.CustomSource):
    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, **kwargs):
        return shop()
"""


def _dag(dag_id="d", **arguments):
    arguments.setdefault("task_id", "load")
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator(**arguments)
    return dag


def _blocks(repository, address="custom://Shop", **sink):
    return {
        "repo": {"url": repository.url},
        "source": {"address": address, "options": {"source-table": "t"}},
        "sink": {"address": "dataos://lakehouse", "options": {"dest-table": "raw", **sink}},
    }


def _record(key):
    from airflow.models import Variable as Stored
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.query(Stored).filter(Stored.key == f"nilus__{key}").one_or_none()
        return None if row is None else json.loads(row.val)


WORKFLOW = """
repo: {{url: "{url}"}}
source:
  address: custom://Shop
  options: {{source-table: t}}
sink:
  address: dataos://lakehouse
  options: {{dest-table: nowhere}}
"""


@pytest.mark.parametrize("form", ["file", *(pytest.param(form, marks=pytest.mark.soak) for form in ("text", "dict"))])
def test_a_workflow_is_a_file_beside_the_dag_a_text_or_a_dict_and_arguments_override_it_key_by_key(
    form, run_dag, deployment, git_repo, tmp_path
):
    repository = git_repo({"shop.py": TWO_TABLES})
    text = WORKFLOW.format(url=repository.url)
    if form == "file":
        (tmp_path / "orders.yaml").write_text(text)
    workflow = {"file": "orders.yaml", "text": text, "dict": _blocks(repository, **{"dest-table": "nowhere"})}[form]
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1), template_searchpath=[str(tmp_path)]) as dag:
        NilusCustomSourceOperator(
            task_id="load", workflow=workflow, sink={"options": {"dest_table": "raw"}}, interval=None
        )
    outcome = run_dag(dag)
    assert outcome.states == {"load": "success"}
    assert deployment.tables("raw") == {"orders": 1, "users": 1}


def test_the_result_is_small_json_with_the_commit_and_the_rows(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": TWO_TABLES})
    result = run_dag(_dag(**_blocks(repository))).xcom("load")
    assert result["commit"] == repository.head
    assert result["ref"] == "refs/heads/main"
    assert result["rows"] == {"users": 1, "orders": 1}
    assert result["dataset"] == "raw"
    assert result["destination"] == "duckdb"
    assert result["state_key"] == "d.load"
    assert result["state_version"] == 1
    assert len(result["load_ids"]) == 1
    assert result["duration_s"] > 0
    assert len(json.dumps(result)) < 2_000


def test_the_commit_is_in_the_journal_beside_the_rows(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": TWO_TABLES})
    outcome = run_dag(_dag(**_blocks(repository)))
    rows = deployment.rows(
        'SELECT l.status, j.repository, j."commit", j.dag_id, j.task_id, j.run_id, j.state_key, j.source'
        " FROM raw.users u JOIN raw._airflow_loads j ON j.load_id = u._dlt_load_id"
        " JOIN raw._dlt_loads l ON l.load_id = j.load_id"
    )
    assert rows == [(0, repository.url, repository.head, "d", "load", outcome.run_id, "d.load", "shop.py:Shop")]


def test_the_record_has_a_head_and_a_history_after_two_runs(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": TWO_TABLES})
    dag = _dag(**_blocks(repository))
    first, second = run_dag(dag), run_dag(dag)
    record = _record("d.load")
    assert record["head"]["version"] == 2
    assert record["head"]["run_id"] == second.run_id
    assert record["head"]["state"]["shop"]["resources"] == {"users": {"runs": 2}, "orders": {"runs": 2}}
    assert record["head"]["commit"] == repository.head
    assert [commit["run_id"] for commit in record["history"]] == [first.run_id]
    assert record["history"][0]["state"]["shop"]["resources"]["users"] == {"runs": 1}
    assert deployment.rows("SELECT run FROM raw.users ORDER BY run") == [(1,), (2,)]


def test_a_failed_run_leaves_the_record_as_it_was(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": TWO_TABLES})
    dag = _dag(**_blocks(repository))
    run_dag(dag)
    before = _record("d.load")
    repository.commit({"shop.py": TWO_TABLES + "\n@shop.add_limit\n"}, "breaks")
    assert run_dag(dag).states == {"load": "failed"}
    assert _record("d.load") == before


def test_mapped_tasks_run_their_resources_and_keep_their_own_state(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": TWO_TABLES})
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator.partial(task_id="load", **_blocks(repository)).expand(
            resources=[["users"], ["orders"]]
        )
    outcome = run_dag(dag)
    assert outcome.states == {"load[0]": "success", "load[1]": "success"}
    assert outcome.xcom("load", map_index=0)["rows"] == {"users": 1}
    assert outcome.xcom("load", map_index=1)["rows"] == {"orders": 1}
    assert _record("d.load.0")["head"]["state"] == {"shop": {"resources": {"users": {"runs": 1}}}}
    assert _record("d.load.1")["head"]["state"] == {"shop": {"resources": {"orders": {"runs": 1}}}}


def test_a_state_key_of_ones_own_is_used(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": TWO_TABLES})
    run_dag(_dag(state_key="shared by {{ dag.dag_id }}", **_blocks(repository)))
    assert _record("shared by d")["head"]["version"] == 1


def test_another_commit_than_the_expected_one_fails_before_any_code_runs(run_dag, deployment, git_repo, tmp_path):
    sentinel = tmp_path / "ran"
    repository = git_repo({"shop.py": f"open({str(sentinel)!r}, 'w')\n" + TWO_TABLES})
    pinned = repository.head
    repository.commit(message="newer")
    blocks = _blocks(repository)
    outcome = run_dag(_dag(expected_commit=pinned, **blocks))
    assert outcome.states == {"load": "failed"}
    error = str(outcome.task("load").errors[-1])
    assert pinned in error
    assert repository.head in error
    assert not sentinel.exists()
    repository.git("reset", "--quiet", "--hard", pinned)
    assert run_dag(_dag(expected_commit=pinned, **blocks)).states == {"load": "success"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"source": {"address": "custom://Shopp", "options": {"source-table": "t"}}}, "Shop"),
        ({"sink": {"address": "ftp://x", "options": {"dest-table": "raw"}}}, "duckdb://"),
        ({"sink": {"address": "dataos://lakehouse", "options": {"dest-tabel": "raw"}}}, "dest-table"),
        ({"interval": "yesterday"}, "interval"),
        ({"on_rerun": "maybe"}, "on_rerun"),
        ({"backfill": "maybe"}, "backfill"),
        ({"batching": "maybe"}, "batching"),
        ({"state": "nowhere"}, "variable"),
        ({"resources": ["user"]}, "users"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_another_try_cannot_help_fails_at_once_and_says_what_would_be_right(
    arguments, says, run_dag, deployment, git_repo
):
    repository = git_repo({"shop.py": TWO_TABLES})
    outcome = run_dag(_dag(retries=3, **{**_blocks(repository), **arguments}))
    failed = outcome.task("load")
    assert (failed.state, failed.try_number) == ("failed", 1)
    assert type(failed.errors[-1]).__name__ == "AirflowFailException"
    assert says in str(failed.errors[-1])
    assert "What to do" in str(failed.errors[-1])


def test_a_failure_that_another_try_can_help_is_tried_again(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": TWO_TABLES.replace("return shop()", "raise ConnectionError('upstream')")})
    outcome = run_dag(_dag(retries=1, retry_delay=0.0, **_blocks(repository)))
    failed = outcome.task("load")
    assert failed.try_number == 2
    assert type(failed.errors[-1]).__name__ == "SourceError"
    assert "upstream" in str(failed.errors[-1])


def test_two_repositories_with_equally_named_modules_run_in_one_dag_and_do_not_mix(run_dag, deployment, git_repo):
    code = """
import nilus
from helpers import NAME

@nilus.resource()
def names():
    yield {"name": NAME}

class Named(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return names()
"""
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        for name in ("one", "two"):
            repository = git_repo({"source.py": code, "helpers.py": f"NAME = {name!r}\n"})
            blocks = _blocks(repository, "custom://Named", **{"dest-table": f"raw_{name}"})
            NilusCustomSourceOperator(task_id=name, **blocks)
    assert run_dag(dag).states == {"one": "success", "two": "success"}
    assert deployment.rows("SELECT name FROM raw_one.names") == [("one",)]
    assert deployment.rows("SELECT name FROM raw_two.names") == [("two",)]


def test_dataos_is_an_airflow_connection_to_postgresql_as_well(
    run_dag, deployment, git_repo, postgres_database, monkeypatch
):
    import psycopg2

    monkeypatch.setenv("AIRFLOW_CONN_LAKEHOUSE", postgres_database.replace("postgresql://", "postgres://", 1))
    repository = git_repo({"shop.py": TWO_TABLES})
    outcome = run_dag(_dag(**_blocks(repository)))
    assert outcome.xcom("load")["destination"] == "postgres"
    connection = psycopg2.connect(postgres_database)
    try:
        with connection.cursor() as cursor:
            cursor.execute('SELECT run FROM raw."users"')
            assert cursor.fetchall() == [(1,)]
            cursor.execute('SELECT "commit" FROM raw._airflow_loads')
            assert cursor.fetchall() == [(repository.head,)]
    finally:
        connection.close()


def test_a_dag_serializes_with_resources_given(deployment):
    from airflow.serialization.serialized_objects import SerializedDAG

    blocks = {"repo": {"url": "https://example.com/r"}, "source": {}, "sink": {}}
    serializer = SerializedDAG
    if not hasattr(serializer, "to_dict"):
        from airflow.serialization.serialized_objects import DagSerialization as serializer
    document = serializer.to_dict(_dag(resources=["users"], **blocks))
    assert "users" in json.dumps(document)


def test_two_runs_of_one_task_do_not_run_at_once_unless_the_author_says_so():
    blocks = {"repo": {}, "source": {}, "sink": {}}
    assert _dag(**blocks).get_task("load").max_active_tis_per_dag == 1
    assert _dag(max_active_tis_per_dag=4, **blocks).get_task("load").max_active_tis_per_dag == 4


def test_what_airflow_stores_of_the_templates_holds_no_secret(run_dag, deployment, git_repo):
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    repository = git_repo({"shop.py": TWO_TABLES})
    blocks = _blocks(repository, "custom://Shop?url=https://user:geheim@example.com/&token=ge4")
    outcome = run_dag(_dag(source_env={"PIN": "4711", "HARMLESS_NAME": "{{ 'geh' ~ 'eim2' }}"}, **blocks))
    assert outcome.states == {"load": "success"}
    with create_session() as session:
        stored = json.dumps(session.query(RenderedTaskInstanceFields).one().rendered_fields)
    for secret in ("geheim", "ge4", "4711"):
        assert secret not in stored
    assert "custom://Shop" in stored
    assert "HARMLESS_NAME" in stored
