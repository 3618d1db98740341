"""Asset events, the link to the commit, and metrics of runs in this process."""

from __future__ import annotations

from datetime import datetime

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator
from airflow_provider_nilus.reporting.links import commit_page
from airflow_provider_nilus.reporting.table_name import TableName, table_name

SHOP = """
import nilus

@nilus.resource(write_disposition="append")
def users():
    yield {"id": 1}
    yield {"id": 2}

@nilus.resource(write_disposition="append")
def orders():
    yield from ()

@nilus.source
def shop():
    return users, orders

class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return shop()
"""


@pytest.fixture
def dag(deployment, git_repo):
    repository = git_repo({"shop.py": SHOP})

    def make(**arguments):
        with DAG("shop", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
            NilusCustomSourceOperator(
                task_id="load",
                repo={"url": repository.url},
                source={"address": "custom://Shop", "options": {"source-table": "t"}},
                sink={"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
                **arguments,
            )
        return dag

    return make


def events():
    """Return the asset events there are, as (URI, extra, names of aliases)."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()
        return [(event.asset.uri, event.extra, {alias.name for alias in event.source_aliases}) for event in found]


def test_a_table_that_got_rows_is_an_event_through_the_alias_of_the_task(run_dag, deployment, dag):
    result = run_dag(dag()).xcom("load")
    ((uri, extra, aliases),) = events()
    assert uri == Asset(f"duckdb://{deployment.lake}/raw/users").uri
    assert Asset(result["assets"]["users"]).uri == uri
    assert aliases == {"nilus.shop.load"}
    assert extra == {
        "rows": 2,
        "load_ids": result["load_ids"],
        "commit": result["commit"],
        "repository": result["repository"],
        "interval": None,
    }


def test_a_table_that_the_dag_names_gets_its_event_once_and_only_with_rows(run_dag, deployment, dag):
    named = [Asset(f"duckdb://{deployment.lake}/raw/{table}") for table in ("users", "orders")]
    elsewhere = Asset("x-shop://report")
    run_dag(dag(outlets=[*named, elsewhere]))
    assert {(uri, extra.get("rows")) for uri, extra, _ in events()} == {(named[0].uri, 2), (elsewhere.uri, None)}
    assert len(events()) == 2


def test_an_alias_of_the_author_takes_the_place_of_ours(run_dag, deployment, dag):
    run_dag(dag(outlets=[AssetAlias("everything_of_the_shop")]))
    ((_, _, aliases),) = events()
    assert aliases == {"everything_of_the_shop"}


def test_a_mapped_task_tells_of_its_tables_too(run_dag, deployment, git_repo):
    repository = git_repo({"shop.py": SHOP})
    with DAG("shop", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator.partial(
            task_id="load",
            repo={"url": repository.url},
            source={"address": "custom://Shop", "options": {"source-table": "t"}},
            sink={"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
        ).expand(resources=[["users"], ["orders"]])
    assert set(run_dag(dag).states.values()) == {"success"}
    assert [(uri.rpartition("/")[2], extra["rows"]) for uri, extra, _ in events()] == [("users", 2)]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "postgresql://user:pass@db.corp/shop?sslmode=require",
            TableName("postgres://db.corp:5432/shop/raw/orders", "postgres://db.corp:5432", "shop.raw.orders"),
        ),
        (
            "mysql://user:pass@db.corp:3307/ignored",
            TableName("mysql://db.corp:3307/raw/orders", "mysql://db.corp:3307", "raw.orders"),
        ),
        (
            "duckdb:////data/lake one.duckdb",
            TableName("duckdb:///data/lake%20one.duckdb/raw/orders", "duckdb:///data/lake%20one.duckdb", "raw.orders"),
        ),
        ("s3://bucket/lake", TableName("s3://bucket/lake/raw/orders", "s3://bucket", "lake/raw/orders")),
        ("file:///data", TableName("file:///data/raw/orders", "file", "/data/raw/orders")),
        ("bigquery://project", TableName("bigquery://project/raw/orders", "bigquery", "project.raw.orders")),
        (
            "snowflake://user:pass@account/shop?role=x",
            TableName("snowflake://account/shop/raw/orders", "snowflake://account", "shop.raw.orders"),
        ),
    ],
)
def test_a_table_is_called_what_others_call_it_and_no_name_holds_a_user_or_a_password(address, expected):
    assert table_name(address, "raw", "orders") == expected
    assert Asset(expected.uri).uri in (expected.uri, expected.uri.replace("duckdb:///", "duckdb:/"))


COMMIT = "c" * 40


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        ("https://github.com/acme/shop.git", "https://github.com/acme/shop/commit/"),
        ("git@github.com:acme/shop.git", "https://github.com/acme/shop/commit/"),
        ("ssh://git@gitlab.corp.io:2222/data/team/shop", "https://gitlab.corp.io/data/team/shop/-/commit/"),
        ("https://bitbucket.org/acme/shop", "https://bitbucket.org/acme/shop/commits/"),
        ("https://dev.azure.com/acme/data/_git/shop", "https://dev.azure.com/acme/data/_git/shop/commit/"),
        ("git@ssh.dev.azure.com:v3/acme/data/shop", "https://dev.azure.com/acme/data/_git/shop/commit/"),
    ],
)
def test_the_link_leads_to_the_page_of_the_commit_on_its_server(repository, page):
    assert commit_page(repository, COMMIT) == page + COMMIT


@pytest.mark.parametrize(
    ("repository", "commit"),
    [
        ("https://git.corp.io/shop", COMMIT),
        ("file:///srv/shop", COMMIT),
        ("https://github.com/acme/shop", ""),
        ("", ""),
    ],
)
def test_there_is_no_link_where_no_page_is_known(repository, commit):
    assert commit_page(repository, commit) == ""


def test_the_link_of_a_task_is_kept_when_it_ends(run_dag, deployment, dag, monkeypatch):
    monkeypatch.setattr(
        "airflow_provider_nilus.reporting.links.commit_page", lambda repository, commit: f"https://pages/{commit}"
    )
    outcome = run_dag(dag())
    assert outcome.xcom("load", "_link_CommitLink") == f"https://pages/{outcome.xcom('load')['commit']}"


def test_metrics_tell_rows_steps_memory_and_the_cache(run_dag, deployment, dag, monkeypatch):
    sent = {}

    class Recorder:
        def incr(self, name, count=1, *, tags):
            sent[name] = (count, tags)

        gauge = timing = incr

    monkeypatch.setattr("airflow_provider_nilus.reporting.metrics._stats", Recorder)
    run_dag(dag())
    tags = {"dag_id": "shop", "task_id": "load"}
    assert sent["nilus.rows"] == (2, tags)
    assert sent["nilus.checkout.fetched"] == (1, tags)
    assert sent["nilus.peak_memory_bytes"][0] > 10_000_000
    assert {
        f"nilus.seconds.{step}" for step in ("checkout", "source", "settle", "extract", "normalize", "load")
    } <= set(sent)
    sent.clear()
    run_dag(dag())
    assert sent["nilus.checkout.cached"] == (1, tags)


def test_airflow_has_a_place_for_the_metrics():
    from airflow_provider_nilus.reporting.metrics import _stats

    assert callable(_stats().incr)
    assert callable(_stats().timing)
    assert callable(_stats().gauge)
