"""Run Nilus Custom Sources as Airflow tasks."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow. Runs at every `airflow` command: imports nothing heavy."""
    from airflow_provider_nilus.connections import CONNECTION_FIELD_BEHAVIOUR, CONNECTION_FIELDS, CONNECTION_TYPE
    from airflow_provider_nilus.connections.forms import testable
    from airflow_provider_nilus.connections.lakehouse import (
        LAKEHOUSE_FIELD_BEHAVIOUR,
        LAKEHOUSE_FIELDS,
        LAKEHOUSE_TYPE,
    )
    from airflow_provider_nilus.connections.repository import (
        REPOSITORY_FIELD_BEHAVIOUR,
        REPOSITORY_FIELDS,
        REPOSITORY_TYPE,
    )
    from airflow_provider_nilus.task.settings import CONFIG

    return {
        "package-name": "airflow-provider-nilus",
        "name": "Nilus",
        "description": "Run Nilus Custom Sources out of a Git repository as Airflow tasks.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Nilus",
                "tags": ["software"],
            }
        ],
        "operators": [
            {
                "integration-name": "Nilus",
                "python-modules": [
                    "airflow_provider_nilus.operators.custom_source",
                    "airflow_provider_nilus.operators.resources",
                ],
            }
        ],
        "hooks": [
            {
                "integration-name": "Nilus",
                "python-modules": [
                    "airflow_provider_nilus.hooks.custom_source",
                    "airflow_provider_nilus.hooks.lakehouse",
                    "airflow_provider_nilus.hooks.repository",
                ],
            }
        ],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "airflow_provider_nilus.hooks.custom_source.NilusHook",
                "hook-name": "Nilus sink",
                "conn-fields": CONNECTION_FIELDS,
                "ui-field-behaviour": testable(CONNECTION_FIELD_BEHAVIOUR),
            },
            {
                "connection-type": LAKEHOUSE_TYPE,
                "hook-class-name": "airflow_provider_nilus.hooks.lakehouse.LakehouseHook",
                "hook-name": "Nilus lakehouse",
                "conn-fields": LAKEHOUSE_FIELDS,
                "ui-field-behaviour": testable(LAKEHOUSE_FIELD_BEHAVIOUR),
            },
            {
                "connection-type": REPOSITORY_TYPE,
                "hook-class-name": "airflow_provider_nilus.hooks.repository.RepositoryHook",
                "hook-name": "Nilus repository",
                "conn-fields": REPOSITORY_FIELDS,
                "ui-field-behaviour": testable(REPOSITORY_FIELD_BEHAVIOUR),
            },
        ],
        "extra-links": ["airflow_provider_nilus.reporting.links.CommitLink"],
        "cli": ["airflow_provider_nilus.state.commands.definition.commands"],
        "config": CONFIG,
    }
