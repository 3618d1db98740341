"""The hook behind connections of the type `nilus_lakehouse`: their form, and their test."""

from __future__ import annotations

from typing import Any

from airflow_provider_nilus.hooks.custom_source import NilusHook
from airflow_provider_nilus.lakehouse_connection import LAKEHOUSE_FIELD_BEHAVIOUR, LAKEHOUSE_FIELDS, LAKEHOUSE_TYPE


class LakehouseHook(NilusHook):
    """Tests a lakehouse's connection. Runs name the connection in the workflow, as `dataos://<connection id>`.

    Args:
        nilus_lakehouse_conn_id: the connection.
    """

    conn_name_attr = "nilus_lakehouse_conn_id"
    default_conn_name = "nilus_lakehouse_default"
    conn_type = LAKEHOUSE_TYPE
    hook_name = "Nilus lakehouse"

    def __init__(self, *, nilus_lakehouse_conn_id: str = default_conn_name, **options: Any) -> None:
        super().__init__(nilus_conn_id=nilus_lakehouse_conn_id, **options)
        self.nilus_lakehouse_conn_id = nilus_lakehouse_conn_id

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """Return the fields of the form as Airflow 3.1 asks for them; later versions have them without a hook."""
        from flask_appbuilder.fieldwidgets import (  # type: ignore[import-not-found]
            BS3PasswordFieldWidget,
            BS3TextFieldWidget,
        )
        from wtforms import PasswordField, StringField  # type: ignore[import-untyped]

        return {
            name: (
                PasswordField(field["label"], widget=BS3PasswordFieldWidget())
                if field["schema"].get("format") == "password"
                else StringField(field["label"], description=field.get("description", ""), widget=BS3TextFieldWidget())
            )
            for name, field in LAKEHOUSE_FIELDS.items()
        }

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """Return what the form hides and renames as Airflow 3.1 asks for it."""
        return {name.replace("-", "_"): value for name, value in LAKEHOUSE_FIELD_BEHAVIOUR.items()}

    def test_connection(self) -> tuple[bool, str]:
        """List the namespaces of the catalog; whether that worked, and what to tell the user."""
        from airflow_provider_nilus.lakehouse_connection import namespaces
        from nilus.errors import NilusError

        try:
            sink = self._sink(f"dataos://{self.nilus_conn_id}")
        except NilusError as error:
            return False, str(error)
        try:
            found = namespaces(sink.address, sink.credentials)
        except Exception as error:  # noqa: BLE001 - whatever the catalog says, it is told
            said = f"{type(error).__name__}: {str(error).strip()}"
            for secret in sorted(sink.secrets, key=len, reverse=True):
                said = said.replace(secret, "***")
            return False, f"The catalog of {sink.display_address} cannot be read: {said}"
        return True, f"{sink.display_address} can be read; namespaces: {', '.join(found) or 'none yet'}"
