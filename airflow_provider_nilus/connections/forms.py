"""The forms of our connection types: what differs between versions of Airflow.

Airflow 3.1 asks a hook for its form; later versions read the provider's description.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

_TEST_NEEDS_PORT: Final = ("3.3.1", "3.3.2")


def testable(behaviour: dict[str, Any]) -> dict[str, Any]:
    """Return what a form hides and renames, so that the connection can be tested in the UI of this Airflow.

    Airflow 3.3.1 and 3.3.2 answer *Test* of any connection without a port with *Bad Request*
    (https://github.com/apache/airflow/pull/73298), so in these the form has one.
    """
    if version("apache-airflow-core") not in _TEST_NEEDS_PORT:
        return behaviour
    hidden = [name for name in behaviour["hidden-fields"] if name != "port"]
    placeholders = {**behaviour.get("placeholders", {}), "port": "0: without a number, Test does not work"}
    return {**behaviour, "hidden-fields": hidden, "placeholders": placeholders}


def said(text: object) -> str:
    """Return what a test says as one line, which is how Airflow's UI shows it: lines become sentences."""
    return ". ".join(line.strip().rstrip(".") for line in str(text).splitlines() if line.strip())


def widgets(conn_type: str) -> dict[str, Any]:
    """Return the form fields of a connection type, of Airflow's stand-ins for the classes of WTForms.

    Args:
        conn_type: one of the types that `get_provider_info` declares.
    """
    from flask_appbuilder.fieldwidgets import (  # type: ignore[import-not-found]
        BS3PasswordFieldWidget,
        BS3TextFieldWidget,
    )
    from wtforms import PasswordField, StringField  # type: ignore[import-untyped]
    from wtforms.validators import any_of  # type: ignore[import-untyped]

    made = {}
    for name, field in _declared(conn_type)["conn-fields"].items():
        is_secret = field["schema"].get("format") == "password"
        choices = field["schema"].get("enum")
        made[name] = (PasswordField if is_secret else StringField)(
            field["label"],
            description=field.get("description", ""),
            widget=(BS3PasswordFieldWidget if is_secret else BS3TextFieldWidget)(),
            validators=[any_of(choices)] if choices else [],
        )
    return made


def behaviour(conn_type: str) -> dict[str, Any]:
    """Return what the form of a connection type hides and renames."""
    return {name.replace("-", "_"): value for name, value in _declared(conn_type)["ui-field-behaviour"].items()}


def _declared(conn_type: str) -> dict[str, Any]:
    from airflow_provider_nilus import get_provider_info

    types = get_provider_info()["connection-types"]
    return next(one for one in types if one["connection-type"] == conn_type)
