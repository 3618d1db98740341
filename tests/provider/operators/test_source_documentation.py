"""What a source says of itself, where the DAG says nothing of it."""

from __future__ import annotations

import sys
from datetime import datetime
from types import ModuleType

import pytest
from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator
from nilus.runtime.source.documentation import LIMIT, docstring

SHOP = '''
"""Whatever the shop has."""

import nilus


class Shop(nilus.CustomSource):
    """Orders of the shop.

    One row for each *order*.
    """

    def nilus_source(self, uri, table, **kwargs):
        return nilus.resource([{"id": 1}], name="orders")


class Broken(nilus.CustomSource):
    """Orders that do not come."""

    def nilus_source(self, uri, table, **kwargs):
        raise OSError("no shop today")
'''
DOCUMENTATION = "Orders of the shop.\n\nOne row for each *order*."


@pytest.fixture
def dag(deployment, git_repo):
    repository = git_repo({"shop.py": SHOP})

    def make(class_name="Shop", **arguments):
        with DAG("shop", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
            NilusCustomSourceOperator(
                task_id="load",
                repo={"url": repository.url},
                source={"address": f"custom://{class_name}", "options": {"source-table": "t"}},
                sink={"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
                **arguments,
            )
        return dag

    return make


def rendered():
    """Return the fields that Airflow's UI shows as rendered templates."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return session.scalars(select(RenderedTaskInstanceFields)).one().rendered_fields


def test_a_task_without_documentation_shows_that_of_its_source_among_its_rendered_fields(run_dag, dag):
    assert run_dag(dag()).states == {"load": "success"}
    shown = rendered()
    assert shown["source_doc"] == DOCUMENTATION
    assert shown["source"] == "address: custom://Shop\noptions:\n  source-table: t\n"


@pytest.mark.parametrize("field", ["doc_md", "doc_json"])
def test_documentation_that_the_dag_gives_stays(run_dag, dag, field):
    made = dag(**{field: '"Of the DAG."'})
    assert run_dag(made).states == {"load": "success"}
    assert rendered()["source_doc"] is None
    assert getattr(made.get_task("load"), field) == '"Of the DAG."'


def test_the_log_tells_it_before_the_source_is_called(run_dag, dag, capsys):
    assert run_dag(dag("Broken")).states == {"load": "failed"}
    assert "Broken (shop.py) says of itself:\nOrders that do not come." in capsys.readouterr().out


def _class(doc=None, module_doc=None, method_doc=None):
    def nilus_source(self):
        return None

    nilus_source.__doc__ = method_doc
    module = ModuleType("shop_of_the_test", module_doc)
    return type("Shop", (), {"__doc__": doc, "__module__": module.__name__, "nilus_source": nilus_source}), module


@pytest.mark.parametrize(
    ("docs", "expected"),
    [
        (("class", "module", "method"), "class"),
        ((None, "module", "method"), "module"),
        ((" \n", None, "method"), "method"),
        ((None, None, None), ""),
        (("First.\n\n        Indented.\n    ", None, None), "First.\n\nIndented."),
    ],
)
def test_the_docstring_is_the_class_s_else_the_module_s_else_the_method_s(monkeypatch, docs, expected):
    cls, module = _class(*docs)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert docstring(cls) == expected


def test_what_a_class_inherits_from_ours_is_not_its_documentation():
    from nilus import CustomSource

    cls = type("Shop", (CustomSource,), {"__module__": "not_there"})
    assert docstring(cls) == ""


def test_a_long_docstring_is_cut():
    cls, _ = _class("word " * LIMIT)
    text = docstring(cls)
    assert LIMIT - 10 < len(text) <= LIMIT
    assert text.endswith(" …")
