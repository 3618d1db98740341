"""The task group with a task for each resource: which tasks there are, and what each keeps to itself."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_nilus.hooks.discovery import DiscoveryHook
from airflow_provider_nilus.operators.resources import nilus_resources
from nilus.errors import WorkflowError
from nilus.runtime.discovery import ENTRY

SHOP = """
import nilus

NAMES = {names!r}

def rows(name):
    state = nilus.current.resource_state()
    state["runs"] = state.get("runs", 0) + 1
    if name == "broken":
        raise ValueError("always")
    yield {{"run": state["runs"]}}

class Shop(nilus.CustomSource):
    def handles_incrementality(self):
        return {keeps}

    def nilus_source(self, uri, table, **kwargs):
        if not NAMES:
            raise ConnectionError("the server that knows the names does not answer")
        return [nilus.resource(rows, name=name, write_disposition="append")(name) for name in NAMES]
"""


@pytest.fixture
def shop(git_repo):
    repository = git_repo({"shop.py": SHOP.format(names=["users", "orders"], keeps=True)})

    def change(names, keeps=True):
        repository.commit({"shop.py": SHOP.format(names=names, keeps=keeps)}, f"has {names}")

    repository.has = change
    return repository


@pytest.fixture
def dag(deployment, shop):
    def make(**arguments):
        with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
            nilus_resources(
                "shop",
                **{
                    "repo": {"url": shop.url},
                    "source": {"address": "custom://Shop", "options": {"source-table": "t"}},
                    "sink": {"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
                    **arguments,
                },
            )
        return dag

    return make


def runs_of(*keys):
    """Return how often the resources whose state is kept under each key were read, as they count it themselves."""
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        records = {row.key: json.loads(row.val) for row in session.scalars(select(Variable))}
    heads = {key: records[f"nilus__{key}"]["head"] for key in keys}
    return {
        key: [resource["runs"] for source in head["state"].values() for resource in source["resources"].values()]
        for key, head in heads.items()
    }


def events():
    """Return the asset events there are, as (table, names of aliases)."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent)).all()
        return sorted(
            (event.asset.uri.rpartition("/")[2], {alias.name for alias in event.source_aliases}) for event in found
        )


def test_what_is_found_and_what_is_given_share_the_state_of_each_resource(run_dag, deployment, dag, shop):
    found = run_dag(dag())
    assert found.states == {"shop.discover": "success", "shop.load[0]": "success", "shop.load[1]": "success"}
    assert [task["resources"] for task in found.xcom("shop.discover")] == [["users"], ["orders"]]
    assert [found.xcom("shop.load", map_index=index)["rows"] for index in (0, 1)] == [{"users": 1}, {"orders": 1}]
    assert runs_of("d.shop.users", "d.shop.orders") == {"d.shop.users": [1], "d.shop.orders": [1]}
    assert events() == [("orders", {"nilus.d.shop.load"}), ("users", {"nilus.d.shop.load"})]

    shop.has(["first", "orders", "users"])
    run_dag(dag())
    assert runs_of("d.shop.first", "d.shop.users", "d.shop.orders") == {
        "d.shop.first": [1],
        "d.shop.users": [2],
        "d.shop.orders": [2],
    }

    given = run_dag(dag(resources=["orders"]))
    assert given.states == {"shop.orders": "success"}
    assert given.xcom("shop.orders")["state_key"] == "d.shop.orders"
    assert runs_of("d.shop.orders") == {"d.shop.orders": [3]}
    assert deployment.tables("raw") == {"first": 1, "orders": 3, "users": 2}


def test_a_run_that_is_cleared_after_the_list_has_changed_has_every_row_once(run_dag, deployment, dag, shop):
    shop.has(["users", "orders"], keeps=False)
    source = {"address": "custom://Shop", "options": {"source-table": "t"}}
    sink = {"address": "dataos://lakehouse", "options": {"dest-table": "raw", "incremental-strategy": "append"}}
    first = run_dag(dag(source=source, sink=sink))
    shop.has(["first", "users", "orders"], keeps=False)
    again = run_dag.clear(dag(source=source, sink=sink), first)
    assert set(again.states.values()) == {"success"}
    assert deployment.tables("raw") == {"first": 1, "orders": 1, "users": 1}


def test_a_resource_that_fails_takes_no_other_with_it_and_is_tried_again_alone(run_dag, deployment, dag, shop):
    shop.has(["users", "broken", "orders"])
    outcome = run_dag(dag(resources={"users": {}, "broken": {"retries": 1}, "orders": {}}, retry_delay=0))
    assert outcome.states == {"shop.users": "success", "shop.broken": "failed", "shop.orders": "success"}
    assert [task.try_number for task in outcome.tasks] == [2, 1, 1]
    assert deployment.tables("raw") == {"orders": 1, "users": 1}


def test_a_source_that_does_not_answer_fails_the_discovery_and_loads_nothing(run_dag, deployment, dag, shop):
    shop.has([])
    outcome = run_dag(dag())
    assert outcome.states["shop.discover"] == "failed"
    assert "does not answer" in str(outcome.task("shop.discover").errors[-1])
    assert not deployment.lake.exists()


def test_the_tasks_of_the_group_get_what_they_need_and_only_that(dag):
    arguments = {
        "queue": "large",
        "retries": 4,
        "batching": "off",
        "trigger_rule": "all_done",
        "outlets": [Asset("x://y")],
    }
    tasks = dag(**arguments, discovery={"queue": "small"}).task_dict
    discover, load = tasks["shop.discover"], tasks["shop.load"]
    assert (discover.queue, discover.retries, discover.trigger_rule.value) == ("small", 4, "all_done")
    assert (load.queue, load.retries, load.trigger_rule.value) == ("large", 4, "all_success")
    assert load.upstream_task_ids == {"shop.discover"}
    assert load.partial_kwargs["batching"] == "off"
    assert discover.outlets == []
    assert load.partial_kwargs["outlets"] == [Asset("x://y"), AssetAlias("nilus.d.shop.load")]
    # Tasks of one name would wait for each other.
    assert load.max_active_tis_per_dag is None
    assert dag(max_active_tis_per_dag=2).task_dict["shop.load"].max_active_tis_per_dag == 2
    given = dag(resources=["users", "my orders"], state_key="all").task_dict
    assert {name: task.state_key for name, task in given.items()} == {
        "shop.users": "all.users",
        "shop.my_orders": "all.my_orders",
    }
    assert given["shop.my_orders"].selected_resources == ["my orders"]
    assert given["shop.users"].max_active_tis_per_dag == 1
    assert [alias.name for alias in given["shop.users"].outlets] == ["nilus.d.shop.users"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"resources": []}, "one resource or more"),
        ({"resources": "users"}, "one resource or more"),
        ({"resources": ["a b", "a_b"]}, "'a b' and 'a_b'"),
        ({"resources": ["a"], "discovery": {}}, "one of the two"),
        ({"state": "xcom"}, "by map index"),
        ({"task_id": "load"}, "named after their resources"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else "",
)
def test_arguments_that_cannot_become_tasks_are_refused_when_the_dag_is_parsed(arguments, says, dag):
    with pytest.raises(WorkflowError, match=says):
        dag(**arguments)


def test_a_discovery_starts_the_entry_of_that_name():
    assert DiscoveryHook.child_args == ("--entry", ENTRY)
