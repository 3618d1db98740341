"""What Airflow's user interface shows of a task that has run."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.soak

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def run(shop):
    """A run of the DAG that has succeeded."""
    shop.airflow.add_dags(*sorted((HERE / "dags").iterdir()))
    return shop.airflow.wait("shop", shop.airflow.trigger("shop"), bound=240)


@pytest.fixture
def open_task(page, run):
    """`open_task(part)`: a part of the page of the task that has loaded."""

    def show(part=""):
        page.goto(f"/dags/shop/runs/{run.run_id}/tasks/load_orders{part}")
        page.get_by_role("heading", name="load_orders").first.wait_for()
        return page

    return show


def test_the_task_links_to_the_commit_it_ran(open_task, run, shop, keep_image):
    link = open_task("/details").get_by_role("link", name="Commit", exact=True)
    commit = shop.airflow.xcom("shop", run.run_id, "load_orders")["commit"]
    assert link.get_attribute("href") == f"https://github.localhost:{shop.git.port}/shop/sources/commit/{commit}"
    keep_image("task-commit")


def test_the_workflow_is_shown_as_yaml_and_no_secret_of_it(open_task, shop, keep_image):
    page = open_task("/rendered_templates")
    row = page.get_by_role("row").filter(has=page.get_by_text("workflow", exact=True))
    text = row.inner_text().replace("\n", "")
    assert "address: custom://Shop?key=***" in text
    assert "incremental-strategy: replace" in text
    environment = page.get_by_role("row").filter(has=page.get_by_text("source_env", exact=True)).inner_text()
    assert "API_TOKEN" in environment
    assert "***" in environment
    content = page.content()
    assert [secret for secret in shop.hidden if secret in content] == []
    keep_image("task-rendered")


def test_what_the_source_says_of_itself_is_shown_where_the_dag_says_nothing(open_task, keep_image):
    page = open_task("/rendered_templates")
    row = page.get_by_role("row").filter(has=page.get_by_text("source_doc", exact=True))
    row.scroll_into_view_if_needed()
    assert "Orders of the shop, as its API lists them." in row.inner_text().replace("\n", "")
    keep_image("task-source-doc")


def test_no_page_of_the_task_shows_a_secret(open_task, shop):
    for part in ("", "/rendered_templates", "/asset_events", "/events", "/details"):
        page = open_task(part)
        page.wait_for_load_state("networkidle")
        content = page.content()
        assert [secret for secret in shop.hidden if secret in content] == [], part


def test_the_operator_has_a_colour_of_its_own(shop, run):
    """Airflow 3 hands it out by its API; its pages draw all operators alike."""
    task = shop.airflow.get("/dags/shop/tasks/load_orders")
    other = shop.airflow.get("/dags/shop/tasks/tell")
    assert (task["ui_color"], task["ui_fgcolor"]) == ("#d7ecef", "#0d3a40")
    assert task["ui_color"] != other["ui_color"]
