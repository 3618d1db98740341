"""The forms of our connection types in Airflow's user interface, and what *Test* says there."""

from __future__ import annotations

import json

import pytest
from ui_page import ConnectionForm

from airflow_provider_nilus import get_provider_info

pytestmark = pytest.mark.soak

TYPES = {one["connection-type"]: one for one in get_provider_info()["connection-types"]}
STANDARD = {"host": "Host", "login": "Login", "password": "Password", "port": "Port", "schema": "Schema"}


@pytest.fixture
def form(page):
    """`form(type)`: the form of a new connection of one of our types."""
    return lambda conn_type: ConnectionForm(page, TYPES[conn_type]["hook-name"])


@pytest.fixture
def press_test(page):
    """`press_test(id)`: press *Test* in the list; whether it went well, and what was said."""

    def press(conn_id):
        row = page.get_by_role("row", name=conn_id)
        with page.expect_response("**/connections/test") as answer:
            row.get_by_role("button", name="Test Connection").click()
        told = answer.value.json()
        assert answer.value.ok, told
        return told["status"], told["message"]

    return press


@pytest.mark.parametrize("conn_type", TYPES)
def test_the_form_has_every_declared_field_with_its_label_and_nothing_that_is_hidden(form, keep_image, conn_type):
    declared = TYPES[conn_type]
    behaviour = declared["ui-field-behaviour"]
    shown = form(conn_type)
    for name, label in STANDARD.items():
        field = shown.standard.locator(f"[name={name}]")
        if name in behaviour["hidden-fields"]:
            assert field.count() == 0, name
            continue
        assert field.is_visible()
        assert shown.standard.get_by_label(behaviour["relabeling"].get(name, label), exact=True).count() == 1
        assert field.get_attribute("placeholder") == behaviour.get("placeholders", {}).get(name, "")
    assert shown.standard.locator("[name=password]").get_attribute("type") == "password"
    if conn_type == "nilus_repository":
        keep_image(f"connection-{conn_type}", 720)
    extra = shown.open_extra()
    for name, described in declared["conn-fields"].items():
        field = extra.locator(f"[name=element_{name}]")
        choices = described["schema"].get("enum")
        is_secret = described["schema"].get("format") == "password"
        assert field.evaluate("field => field.type") == ("hidden" if choices else "password" if is_secret else "text")
        assert choices or field.is_visible()
        assert extra.get_by_text(described["label"], exact=True).is_visible()
        assert not described.get("description") or extra.get_by_text(described["description"]).is_visible()
        suggested = extra.locator(f"#list_{name} option").all()
        assert [one.get_attribute("value") for one in suggested] == described["schema"].get("examples", [])
    assert extra.locator("[name^=element_]").count() == len(declared["conn-fields"])
    shown.dialog.get_by_label("Connection ID").scroll_into_view_if_needed()
    keep_image(f"connection-{conn_type}-extra", 640 + 110 * len(declared["conn-fields"]))


def test_a_choice_that_is_not_made_is_empty(form):
    kind = form("nilus_lakehouse").open_extra().locator("[name=element_catalog]")
    assert kind.input_value() == ""


def test_what_is_saved_comes_back_without_its_secrets(form, page, shop):
    keys = json.dumps({"aws_access_key_id": "AK", "aws_secret_access_key": "st0re/secret"})
    form("nilus").save(
        "files", {"login": "me", "password": "g3h:eim"}, {"address": "s3://lake", "secret_credentials": keys}
    )
    assert shop.stored("files")["password"] == "g3h:eim"
    assert shop.stored("files")["extra"] == {"address": "s3://lake", "secret_credentials": keys}
    page.reload()
    page.get_by_role("row", name="files").get_by_role("button", name="Edit Connection").click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("[name=login]").input_value() == "me"
    assert dialog.locator("[name=password]").input_value() == "***"
    dialog.get_by_role("button", name="Extra Fields", exact=True).click()
    assert dialog.locator("[name=element_address]").input_value() == "s3://lake"
    assert dialog.locator("[name=element_secret_credentials]").input_value() == "***"
    dialog.locator("[name=element_address]").fill("s3://other")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")
    assert shop.stored("files")["extra"] == {"address": "s3://other", "secret_credentials": keys}
    assert shop.stored("files")["password"] == "g3h:eim"
    told = page.content() + json.dumps(shop.airflow.get("/connections/files"))
    assert "s3://other" in told
    assert "st0re/secret" not in told
    assert "g3h:eim" not in told


def test_the_test_of_a_sink_logs_in_to_it(form, press_test, page, shop, keep_image):
    url = shop.postgres.url("postgres")
    login, _, address = url.removeprefix("postgresql://").partition("@")
    user, _, password = login.partition(":")
    extra = {"address": f"postgresql://{address}"}
    form("nilus").save("warehouse", {"login": user, "password": password}, extra)
    reached, said = press_test("warehouse")
    assert reached, said
    assert said.startswith(f"postgresql://***@{address} can be reached; git ")
    form("nilus").save("warehouse_of_others", {"login": user, "password": "wr0ng&secret"}, extra)
    reached, said = press_test("warehouse_of_others")
    assert not reached
    assert "password authentication failed" in said
    page.get_by_text("cannot be reached. Expected: a sink this machine may write to. Found:").wait_for()
    assert "wr0ng" not in said + page.content()
    keep_image("connection-test-fails")


def test_the_test_of_a_lakehouse_lists_its_catalog(form, press_test, page, shop, tmp_path):
    from pyiceberg.catalog.sql import SqlCatalog

    url = shop.postgres.create_database().replace("postgresql://", "postgresql+psycopg2://")
    SqlCatalog("nilus", uri=url, warehouse=f"file://{tmp_path}").create_namespace("sales")
    login, _, address = url.removeprefix("postgresql+psycopg2://").partition("@")
    user, _, password = login.partition(":")
    extra = {"warehouse": str(tmp_path), "catalog_uri": f"postgresql+psycopg2://{address}"}
    form("nilus_lakehouse").save("lakehouse", {"login": user, "password": password}, extra)
    assert press_test("lakehouse") == (True, f"iceberg+sql://{address} can be read; namespaces: sales")
    form("nilus_lakehouse").save("locked", {"login": user, "password": "wr0ng&secret"}, extra)
    reached, said = press_test("locked")
    assert not reached
    assert "cannot be read" in said
    assert "wr0ng" not in said + page.content()


def test_the_test_of_a_repository_asks_its_server(form, press_test, page, shop, keep_image):
    form("nilus_repository").save("git_sources", {"host": shop.sources, "login": "reader", "password": shop.token}, {})
    before = len(shop.git.requests)
    reached, said = press_test("git_sources")
    assert reached, said
    assert said.startswith(f"{shop.sources} answers; refs/heads/main is at ")
    kinds = {request["kind"] for request in shop.git.requests[before:]}
    assert kinds == {"advertise", "ls-refs"}, "nothing is fetched"
    page.get_by_text("Test Connection Successful").wait_for()
    keep_image("connection-test-succeeds")
    form("nilus_repository").save("git_locked", {"host": shop.sources, "login": "reader", "password": "wr0ng&t"}, {})
    reached, said = press_test("git_locked")
    assert not reached
    assert shop.sources in said
    assert "wr0ng" not in said + page.content()
