"""Sinks: an address becomes a dlt destination, its journal and what it can do."""

from __future__ import annotations

from collections.abc import Callable

from nilus.errors import DestinationError
from nilus.runtime.destinations.base import Sink
from nilus.runtime.job import SinkSpec


def _duckdb(spec: SinkSpec) -> Sink:
    from nilus.runtime.destinations.duckdb import DuckDBSink

    return DuckDBSink(spec)


def _postgres(spec: SinkSpec) -> Sink:
    from nilus.runtime.destinations.postgres import PostgresSink

    return PostgresSink(spec)


_SINKS: dict[str, Callable[[SinkSpec], Sink]] = {
    "duckdb": _duckdb,
    "postgresql": _postgres,
    "postgres": _postgres,
}


def sink(spec: SinkSpec) -> Sink:
    """Return the sink of an address.

    Raises:
        DestinationError: no sink knows the address's scheme.
    """
    scheme = spec.address.partition("://")[0].partition("+")[0].lower()
    make = _SINKS.get(scheme)
    if make is None:
        raise DestinationError(
            f"No sink knows the address {spec.display_address}",
            expected=f"an address that begins with one of {', '.join(f'{name}://' for name in sorted(_SINKS))}",
            found=f"{scheme}://" if "://" in spec.address else "an address without ://",
            remedy="correct sink.address; dataos://<connection id> takes the address from an Airflow connection",
        )
    return make(spec)
