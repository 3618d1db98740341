"""The forms of our connection types as the versions of Airflow ask for them."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from airflow_provider_nilus import get_provider_info
from airflow_provider_nilus.connections import types

TYPES = {one["connection-type"]: one for one in get_provider_info()["connection-types"]}


def _hook(conn_type):
    module, _, name = TYPES[conn_type]["hook-class-name"].rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.fixture
def stand_ins():
    """Airflow 3.1 puts stand-ins in the place of WTForms, which it does not have, and reads what they were given."""

    def field(kind):
        return lambda label, **options: SimpleNamespace(kind=kind, label=label, **options)

    widgets = SimpleNamespace(BS3TextFieldWidget=object, BS3PasswordFieldWidget=object)
    modules = {
        "wtforms": SimpleNamespace(StringField=field("string"), PasswordField=field("password")),
        "wtforms.validators": SimpleNamespace(any_of=lambda values: SimpleNamespace(values=values)),
        "flask_appbuilder": SimpleNamespace(fieldwidgets=widgets),
        "flask_appbuilder.fieldwidgets": widgets,
    }
    with patch.dict(sys.modules, modules):
        yield


@pytest.mark.parametrize("conn_type", TYPES)
def test_airflow_3_1_gets_the_same_form_from_the_hook(stand_ins, conn_type):
    declared, hook = TYPES[conn_type], _hook(conn_type)
    assert (hook.conn_type, hook.hook_name) == (conn_type, declared["hook-name"])
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= vars(hook).keys(), "it looks at no base class"
    asked = hook.get_connection_form_widgets()
    assert list(asked) == list(declared["conn-fields"])
    for name, described in declared["conn-fields"].items():
        is_secret = described["schema"].get("format") == "password"
        assert asked[name].kind == ("password" if is_secret else "string")
        assert (asked[name].label, asked[name].description) == (described["label"], described.get("description", ""))
        assert [one.values for one in asked[name].validators] == [
            choices for choices in [described["schema"].get("enum")] if choices
        ]
    behaviour = declared["ui-field-behaviour"]
    assert hook.get_ui_field_behaviour() == {name.replace("-", "_"): value for name, value in behaviour.items()}


@pytest.mark.parametrize("conn_type", TYPES)
def test_a_secret_field_has_a_name_by_which_airflow_hides_it(conn_type):
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

    fields = TYPES[conn_type]["conn-fields"]
    secret = {name for name, described in fields.items() if described["schema"].get("format") == "password"}
    assert {name for name in fields if should_hide_value_for_key(name)} >= secret


@pytest.mark.parametrize(
    ("version", "shown"), [("3.1.8", False), ("3.2.2", False), ("3.3.0", False), ("3.3.2", True), ("3.3.3", False)]
)
def test_a_form_has_a_port_where_airflow_tests_no_connection_without_one(monkeypatch, version, shown):
    monkeypatch.setattr(types, "version", lambda _: version)
    for declared in get_provider_info()["connection-types"]:
        behaviour = declared["ui-field-behaviour"]
        assert ("port" not in behaviour["hidden-fields"]) is shown
        assert ("port" in behaviour.get("placeholders", {})) is shown
        assert "schema" in behaviour["hidden-fields"]


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_airflow_knows_our_types():
    from airflow.providers_manager import ProvidersManager

    hooks = ProvidersManager().hooks
    for conn_type, declared in TYPES.items():
        assert hooks[conn_type].hook_name == declared["hook-name"]
        assert hooks[conn_type].connection_id_attribute_name == _hook(conn_type).conn_name_attr
        assert hooks[conn_type].connection_testable
