"""The deployment's settings: section `[nilus]` of Airflow's configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nilus.errors import WorkflowError

SECTION = "nilus"


def _option(description: str, *, kind: str = "string", default: str = "", example: str | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": default,
    }


CONFIG: dict[str, Any] = {
    SECTION: {
        "description": "Nilus Custom Sources",
        "options": {
            "cache_dir": _option(
                "Folder for checkouts and environments, shared by the tasks of a machine. "
                "Empty: a folder under the user's cache directory.",
                example="/var/cache/nilus",
            ),
            "cache_max_bytes": _option(
                "Size in bytes that checkouts may take, and environments likewise: above it the least recently used "
                "ones are removed.",
                kind="integer",
                default="10000000000",
            ),
            "allowed_protocols": _option(
                "Protocols a repository may be reached by, separated by commas: https, ssh, http, file.",
                default="https,ssh",
                example="https,ssh,file",
            ),
            "allowed_repositories": _option(
                "Addresses of repositories whose code may be run, as globs separated by commas or white space: * stays "
                "within one segment, ** does not. Checked after templates are rendered. Empty: every repository.",
                example="https://git.example.com/data/**, git@git.example.com:data/*",
            ),
            "require_pinned_commit": _option(
                "Whether a task must name the full hash of a commit, as its ref or as expected_commit.",
                kind="boolean",
                default="False",
            ),
            "verify_signatures": _option(
                "Id of an Airflow connection whose extra holds keys: allowed_signers (the text of an OpenSSH "
                "allowed-signers file), openpgp_public_keys (ASCII-armoured), or both. Only commits signed with one of "
                "them are run. Empty: signatures are not looked at.",
                example="nilus_trusted_keys",
            ),
            "git_timeout": _option(
                "Seconds that fetching a repository may take, where the workflow does not say (--sync-timeout).",
                kind="float",
                default="120",
            ),
            "allow_direct_requirements": _option(
                "Whether a requirements.txt may name packages by address and set options of the index.",
                kind="boolean",
                default="False",
            ),
            "package_store": _option(
                "Folder in which a load is kept between its extraction and the end of its run, so that another worker "
                "can load it without extracting again: a path that all workers share, or an address that begins with "
                "s3://, gs:// or az://, with an Airflow connection's id before an @ if it needs one. Empty: none.",
                example="s3://nilus_packages@company-airflow/packages",
            ),
            "default_environment": _option(
                "Where sources run unless their task says: shared (the worker's Python, with the packages that are "
                "missing beside its own) or isolated (a virtual environment without Airflow).",
                default="shared",
                example="isolated",
            ),
            "batching": _option(
                "How rows go through dlt unless the task says: auto (by column, wherever that gives the same tables) "
                "or off (one by one).",
                default="auto",
                example="off",
            ),
            "index_connection": _option(
                "Id of an Airflow connection with the package index for requirements: host is its address, login and "
                "password let in. Empty: what the environment of the worker tells uv.",
                example="company_index",
            ),
        },
    }
}


@dataclass(frozen=True)
class DeploymentSettings:
    """What the deployment decides.

    `cache_max_bytes` is in bytes, `git_timeout` in seconds; `verify_signatures` is a connection's id or empty; `home`
    is Airflow's home folder; `log_level` the level below which Airflow itself drops records.
    """

    cache_dir: Path
    cache_max_bytes: int
    allowed_protocols: tuple[str, ...]
    home: Path
    log_level: str
    allowed_repositories: tuple[str, ...] = ()
    require_pinned_commit: bool = False
    verify_signatures: str = ""
    git_timeout: float = 120.0
    allow_direct_requirements: bool = False
    default_environment: str = "shared"
    batching: str = "auto"
    index_connection: str = ""
    package_store: str = ""


def deployment_settings() -> DeploymentSettings:
    """Read the settings from Airflow's configuration.

    Raises:
        WorkflowError: a value is not of the kind it has to be.
        RepositoryError: `allowed_repositories` has something in it that is no pattern.
    """
    import os

    from airflow.providers.common.compat.sdk import conf

    from nilus.cache.folder import default_cache_dir
    from nilus.repository import allow_list

    cache_dir = _text("cache_dir")
    repositories = tuple(_text("allowed_repositories").replace(",", " ").split())
    allow_list.check_patterns(repositories)
    return DeploymentSettings(
        cache_dir=Path(cache_dir).expanduser() if cache_dir else default_cache_dir(),
        cache_max_bytes=_count("cache_max_bytes"),
        allowed_protocols=tuple(_text("allowed_protocols").lower().replace(",", " ").split()),
        home=Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser(),
        log_level=conf.get("logging", "logging_level", fallback="INFO") or "INFO",
        allowed_repositories=repositories,
        require_pinned_commit=_switch("require_pinned_commit"),
        verify_signatures=_text("verify_signatures"),
        git_timeout=_seconds("git_timeout"),
        allow_direct_requirements=_switch("allow_direct_requirements"),
        default_environment=_choice("default_environment", "shared", "isolated"),
        batching=_choice("batching", "auto", "off"),
        index_connection=_text("index_connection"),
        package_store=_text("package_store"),
    )


def _text(name: str) -> str:
    """Return an option without the white space around it; the default if it is missing or empty."""
    from airflow.providers.common.compat.sdk import conf

    default = str(CONFIG[SECTION]["options"][name]["default"])
    return str(conf.get(SECTION, name, fallback=default) or "").strip() or default


def _count(name: str) -> int:
    text = _text(name)
    if not (text.isascii() and text.isdigit()):
        raise _wrong(name, "a number of bytes", text)
    return int(text)


def _seconds(name: str) -> float:
    text = _text(name)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise _wrong(name, "a number of seconds greater than 0", text)
    return seconds


def _switch(name: str) -> bool:
    text = _text(name).lower()
    if text not in ("true", "t", "1", "yes", "on", "false", "f", "0", "no", "off"):
        raise _wrong(name, "True or False", text)
    return text in ("true", "t", "1", "yes", "on")


def _choice(name: str, *known: str) -> str:
    text = _text(name).lower()
    if text not in known:
        raise _wrong(name, " or ".join(known), text)
    return text


def _wrong(name: str, expected: str, found: str) -> WorkflowError:
    from nilus.errors import WorkflowError

    return WorkflowError(
        f"[nilus] {name} cannot be used",
        expected=expected,
        found=repr(found),
        remedy="correct Airflow's configuration",
    )
