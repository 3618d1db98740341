"""Our connection types as the provider declares them to Airflow: name, hook, and the fields of the form."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from airflow_provider_nilus.connections.addressed import SINK_FIELD_BEHAVIOUR, SINK_FIELDS, SINK_TYPE
from airflow_provider_nilus.connections.lakehouse import LAKEHOUSE_FIELD_BEHAVIOUR, LAKEHOUSE_FIELDS, LAKEHOUSE_TYPE
from airflow_provider_nilus.connections.repository import (
    REPOSITORY_FIELD_BEHAVIOUR,
    REPOSITORY_FIELDS,
    REPOSITORY_TYPE,
)

_TEST_NEEDS_PORT: Final = ("3.3.1", "3.3.2")


def connection_types() -> list[dict[str, Any]]:
    """Return the `connection-types` of the provider's description, for the installed version of Airflow."""
    return [
        {
            "connection-type": SINK_TYPE,
            "hook-class-name": "airflow_provider_nilus.hooks.custom_source.NilusHook",
            "hook-name": "Nilus sink",
            "conn-fields": SINK_FIELDS,
            "ui-field-behaviour": _testable(SINK_FIELD_BEHAVIOUR),
        },
        {
            "connection-type": LAKEHOUSE_TYPE,
            "hook-class-name": "airflow_provider_nilus.hooks.lakehouse.LakehouseHook",
            "hook-name": "Nilus lakehouse",
            "conn-fields": LAKEHOUSE_FIELDS,
            "ui-field-behaviour": _testable(LAKEHOUSE_FIELD_BEHAVIOUR),
        },
        {
            "connection-type": REPOSITORY_TYPE,
            "hook-class-name": "airflow_provider_nilus.hooks.repository.RepositoryHook",
            "hook-name": "Nilus repository",
            "conn-fields": REPOSITORY_FIELDS,
            "ui-field-behaviour": _testable(REPOSITORY_FIELD_BEHAVIOUR),
        },
    ]


def _testable(behaviour: dict[str, Any]) -> dict[str, Any]:
    """Return what a form hides and renames, so that the connection can be tested in the UI of this Airflow.

    Airflow 3.3.1 and 3.3.2 answer *Test* of any connection without a port with *Bad Request*
    (https://github.com/apache/airflow/pull/73298), so in these the form has one.
    """
    if version("apache-airflow-core") not in _TEST_NEEDS_PORT:
        return behaviour
    hidden = [name for name in behaviour["hidden-fields"] if name != "port"]
    placeholders = {**behaviour.get("placeholders", {}), "port": "0: without a number, Test does not work"}
    return {**behaviour, "hidden-fields": hidden, "placeholders": placeholders}
