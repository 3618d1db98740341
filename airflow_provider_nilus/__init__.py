"""Run Nilus Custom Sources as Airflow tasks."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow. Runs at every `airflow` command: imports nothing."""
    return {
        "package-name": "airflow-provider-nilus",
        "name": "Nilus",
        "description": "Run Nilus Custom Sources out of a Git repository as Airflow tasks.",
        "versions": [__version__],
    }
