"""The hook behind connections of the type `nilus_lakehouse`: their form, and their test."""

from __future__ import annotations

from typing import Any

from airflow_provider_nilus.connections.lakehouse import LAKEHOUSE_TYPE
from airflow_provider_nilus.hooks.custom_source import NilusHook


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

    # Airflow 3.1 looks for these in the class itself, not in its bases.
    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """See `NilusHook.get_connection_form_widgets`."""
        return super().get_connection_form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """See `NilusHook.get_ui_field_behaviour`."""
        return super().get_ui_field_behaviour()

    def test_connection(self) -> tuple[bool, str]:
        """List the namespaces of the catalog; whether that worked, and what to tell the user."""
        from airflow_provider_nilus.connections.forms import one_line
        from airflow_provider_nilus.connections.lakehouse import namespaces
        from nilus.errors import NilusError
        from nilus.values.secret_texts import blank

        try:
            sink = self._sinks().resolve(f"dataos://{self.nilus_conn_id}")
        except NilusError as error:
            return False, one_line(error)
        try:
            found = namespaces(sink.address, sink.credentials)
        except Exception as error:  # noqa: BLE001 - whatever the catalog says, it is told
            told = blank(f"{type(error).__name__}: {error}", sink.secrets)
            return False, f"The catalog of {sink.display_address} cannot be read: {one_line(told)}"
        return True, f"{sink.display_address} can be read; namespaces: {', '.join(found) or 'none yet'}"
