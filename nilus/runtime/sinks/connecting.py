"""Connecting to a sink as a run does, and nothing more."""

from __future__ import annotations

from typing import Any, Final

from dlt.common.destination.client import DestinationClientDwhConfiguration
from dlt.common.schema import Schema

from nilus.runtime.sinks.base import Sink

CONFIGURATION: Final[dict[str, Any]] = {
    "runtime": {"dlthub_telemetry": False, "log_level": "WARNING"},
    "providers": {"enable_airflow_secrets": False},
}
"""dlt's configuration where there is no run: it asks neither Airflow nor anybody else."""


def job_client(sink: Sink) -> Any:
    """Return dlt's client of a sink, its credentials resolved, not connected.

    Args:
        sink: the sink.

    Raises:
        DestinationError: a driver is not installed, or the address lacks something.
        dlt.common.configuration.exceptions.ConfigurationException: dlt does not find it complete.
    """
    destination = sink.destination()
    schema = Schema("nilus")
    configuration: Any = destination.spec()
    if isinstance(configuration, DestinationClientDwhConfiguration):
        configuration.dataset_name = sink.spec.dataset
    return destination.client(schema, configuration)


def connect(sink: Sink) -> None:
    """Log in and out again; look into a store's folder, or whether its bucket is there; ask a catalog what it has.

    Args:
        sink: the sink.

    Raises:
        DestinationError: a driver is not installed, or the address lacks something.
        Exception: what the driver says.
    """
    lake = getattr(sink, "lake", None)
    if lake is not None:
        lake.catalog.list_namespaces()
        return
    client = job_client(sink)
    files = getattr(client, "fs_client", None)
    if files is None:
        with client.sql_client:
            return
    path = str(client.bucket_path)
    try:
        files.ls(path)
    except FileNotFoundError:
        bucket = path.strip("/").partition("/")[0]
        if not files.exists(bucket):
            raise
