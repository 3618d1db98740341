"""An Airflow connection becomes a sink's address and credentials.

The rows of the table of connection types are in `table`; one of another package is made with `connection_profile`.
"""

from airflow_provider_nilus.connections.reachability import reach
from airflow_provider_nilus.connections.resolution import ResolvedSink, resolve_sink

__all__ = [
    "ResolvedSink",
    "reach",
    "resolve_sink",
]
