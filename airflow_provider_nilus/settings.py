"""The deployment's settings: section `[nilus]` of Airflow's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTION = "nilus"

CONFIG: dict[str, Any] = {
    SECTION: {
        "description": "Nilus Custom Sources",
        "options": {
            "cache_dir": {
                "description": "Folder for checkouts and environments, shared by the tasks of a machine. "
                "Empty: a folder under the user's cache directory.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "/var/cache/nilus",
                "default": "",
            },
            "cache_max_bytes": {
                "description": "Size in bytes above which the least recently used checkouts are removed.",
                "version_added": "0.1.0",
                "type": "integer",
                "example": None,
                "default": "10000000000",
            },
            "allowed_protocols": {
                "description": "Protocols a repository may be reached by, separated by commas: https, ssh, http, file.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "https,ssh,file",
                "default": "https,ssh",
            },
        },
    }
}


@dataclass(frozen=True)
class DeploymentSettings:
    """What the deployment decides.

    `cache_max_bytes` is in bytes; `home` is Airflow's home folder; `log_level` the level below which Airflow itself
    drops records.
    """

    cache_dir: Path
    cache_max_bytes: int
    allowed_protocols: tuple[str, ...]
    home: Path
    log_level: str


def deployment_settings() -> DeploymentSettings:
    """Read the settings from Airflow's configuration.

    Raises:
        WorkflowError: `cache_max_bytes` is not a number.
    """
    import os

    from airflow.sdk.configuration import conf

    from nilus.errors import WorkflowError
    from nilus.repository import default_cache_dir

    cache_dir = conf.get(SECTION, "cache_dir", fallback="") or ""
    size = conf.get(SECTION, "cache_max_bytes", fallback="10000000000")
    if not str(size).isdigit():
        raise WorkflowError(
            "[nilus] cache_max_bytes is not a size",
            expected="a number of bytes",
            found=repr(size),
            remedy="correct Airflow's configuration",
        )
    protocols = conf.get(SECTION, "allowed_protocols", fallback="https,ssh") or "https,ssh"
    return DeploymentSettings(
        cache_dir=Path(cache_dir).expanduser() if cache_dir else default_cache_dir(),
        cache_max_bytes=int(size),
        allowed_protocols=tuple(part.strip().lower() for part in protocols.split(",") if part.strip()),
        home=Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser(),
        log_level=conf.get("logging", "logging_level", fallback="INFO") or "INFO",
    )
