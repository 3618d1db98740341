"""Whether a sink can be reached from this machine, without writing to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

from airflow_provider_nilus.connections.resolution import ResolvedSink
from nilus.errors import DestinationError, NilusError
from nilus.values.schemes import scheme_name
from nilus.values.secret_texts import blank

_TIMEOUT_SECONDS = 10


def reach(sink: ResolvedSink) -> None:
    """Reach a sink without writing to it: log in to a server, look whether a file can be written.

    Raises:
        DestinationError: that did not work.
    """
    scheme = scheme_name(sink.address)
    try:
        _WAYS.get(scheme, _log_in)(sink)
    except NilusError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the driver says, it is told
        raise _unreachable(sink, f"{type(error).__name__}: {str(error).strip()}") from None


def _file(sink: ResolvedSink) -> None:
    path = Path(unquote("/" + sink.address.partition("?")[0].partition("://")[2].lstrip("/")))
    existing = path if path.exists() else next(folder for folder in path.parents if folder.exists())
    is_below_file = existing != path and not existing.is_dir()
    if is_below_file or not os.access(existing, os.W_OK):
        raise _unreachable(sink, f"{path} cannot be written")


def _postgres(sink: ResolvedSink) -> None:
    try:
        import psycopg2
    except ImportError:
        raise _unreachable(sink, "no psycopg2: install airflow-provider-nilus[postgres]") from None
    address = "postgresql://" + sink.address.partition("://")[2]
    psycopg2.connect(address, connect_timeout=_TIMEOUT_SECONDS).close()


def _mysql(sink: ResolvedSink) -> None:
    from sqlalchemy import create_engine

    from nilus.runtime.sinks.databases.mysql import driver_url

    engine = create_engine(driver_url(sink.address), connect_args={"connect_timeout": _TIMEOUT_SECONDS})
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _log_in(sink: ResolvedSink) -> None:
    """Let dlt's client log in, as a run would."""
    import tempfile

    from nilus.protocol.job import SinkSpec
    from nilus.runtime.engine.context import isolation
    from nilus.runtime.sinks import sink as make_sink
    from nilus.runtime.sinks.connecting import CONFIGURATION, connect

    spec = SinkSpec(
        address=sink.address, display_address=sink.display_address, dataset="nilus", credentials=sink.credentials
    )
    with tempfile.TemporaryDirectory(prefix="nilus-") as folder, isolation(folder, CONFIGURATION):
        connect(make_sink(spec))


def _catalog(sink: ResolvedSink) -> None:
    from airflow_provider_nilus.connections.lakehouse import namespaces

    namespaces(sink.address, sink.credentials)


_WAYS: Mapping[str, Callable[[ResolvedSink], None]] = {
    "duckdb": _file,
    "sqlite": _file,
    "file": _file,
    "iceberg": _catalog,
    "postgresql": _postgres,
    "postgres": _postgres,
    "mysql": _mysql,
    "mariadb": _mysql,
}


def _unreachable(sink: ResolvedSink, found: str) -> DestinationError:
    return DestinationError(
        f"The sink {sink.display_address} cannot be reached",
        expected="a sink this machine may write to",
        found=blank(found, sink.secrets),
        remedy="correct the connection, or the rights and the network of this machine",
    )
