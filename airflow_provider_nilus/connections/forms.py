"""The forms of our connection types as Airflow 3.1 asks for them, from a hook, and what its form shows of a test.

Later versions read the provider's description: `connections.types`.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_nilus.connections.types import connection_types


def one_line(text: object) -> str:
    """Return the result of a connection test as one line, as Airflow's UI shows it: lines become sentences."""
    return ". ".join(line.strip().rstrip(".") for line in str(text).splitlines() if line.strip())


def widgets(conn_type: str) -> dict[str, Any]:
    """Return the form fields of a connection type, of Airflow's stand-ins for the classes of WTForms.

    Args:
        conn_type: one of `connection_types`.
    """
    from flask_appbuilder.fieldwidgets import (  # type: ignore[import-not-found]
        BS3PasswordFieldWidget,
        BS3TextFieldWidget,
    )
    from wtforms import PasswordField, StringField  # type: ignore[import-untyped]
    from wtforms.validators import any_of  # type: ignore[import-untyped]

    made = {}
    for name, field in _declared_type(conn_type)["conn-fields"].items():
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
    return {name.replace("-", "_"): value for name, value in _declared_type(conn_type)["ui-field-behaviour"].items()}


def _declared_type(conn_type: str) -> dict[str, Any]:
    return next(one for one in connection_types() if one["connection-type"] == conn_type)
