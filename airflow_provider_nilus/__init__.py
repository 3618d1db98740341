"""Run Nilus Custom Sources as Airflow tasks."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow. Runs at every `airflow` command: imports nothing heavy."""
    from airflow_provider_nilus.connections.types import connection_types
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
                    "airflow_provider_nilus.hooks.discovery",
                    "airflow_provider_nilus.hooks.lakehouse",
                    "airflow_provider_nilus.hooks.repository",
                ],
            }
        ],
        "connection-types": connection_types(),
        "extra-links": ["airflow_provider_nilus.reporting.links.CommitLink"],
        "cli": ["airflow_provider_nilus.state.commands.definition.commands"],
        "config": CONFIG,
    }
