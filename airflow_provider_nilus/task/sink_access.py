"""How a task gets at its sink: the address with what fills it, and the connection it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_nilus.connections import ResolvedSink
    from nilus.workflow.models import Workflow


@dataclass(frozen=True)
class SinkAccess:
    """How one task gets at sinks.

    Args:
        source_env: what the DAG's author gives to the source; it fills addresses as well.
        get_connection: returns the Airflow connection of an id.
        mask: has Airflow hide texts wherever they turn up.
    """

    source_env: Mapping[str, str]
    get_connection: Callable[[str], Connection]
    mask: Callable[..., None]

    def of(self, workflow: Workflow) -> ResolvedSink:
        """Return the workflow's sink, resolved.

        Raises:
            WorkflowError, DestinationError: see `resolve`.
        """
        from airflow_provider_nilus.task.child_environment import child_environ
        from nilus.values.address import fill, fold

        written = fold(workflow.sink.address)
        environ = child_environ(os.environ, self.source_env)
        region, endpoint = workflow.sink.aws_region, workflow.sink.aws_endpoint
        sink = self.resolve(fill(written, environ, where="sink.address"), region=region, endpoint=endpoint)
        return replace(sink, display_address=self._display_address(written, sink, environ))

    def _display_address(self, written: str, sink: ResolvedSink, environ: Mapping[str, str]) -> str:
        """Return the sink's address as it may be shown: nothing that fills it is."""
        from nilus.values.address import fill, names
        from nilus.values.redaction import redact_address

        scheme, mark, rest = written.partition("://")
        if not names(written):
            return sink.display_address
        if scheme.lower() != "dataos":
            return redact_address(written)
        # The connection's own address is shown, and for that its id has to be known; what follows it is not filled.
        conn_id, slash, path = rest.partition("/")
        known = fill(f"{scheme}{mark}{conn_id}", environ, where="sink.address")
        return self.resolve(f"{known}{slash}{path}").display_address

    def addresses(self, workflow: Workflow) -> tuple[str | None, ...]:
        """Return every address a run of the workflow writes to: a lakehouse's catalog and warehouse have their own."""
        sink = self.of(workflow)
        others = (value for value in sink.credentials.values() if isinstance(value, str) and "://" in value)
        return sink.address, workflow.sink.staging_bucket, *others

    def resolve(self, address: str, *, region: str | None = None, endpoint: str | None = None) -> ResolvedSink:
        """Resolve a sink's address, and have Airflow hide the secrets in it.

        Args:
            address: the sink's address, filled.
            region: the workflow's, for object stores.
            endpoint: likewise.

        Raises:
            WorkflowError: the address is not one.
            DestinationError: there is no such sink or connection, or the connection does not fit.
        """
        from airflow_provider_nilus.connections import resolve_sink
        from airflow_provider_nilus.task.settings import deployment_settings

        sink = resolve_sink(
            address,
            home=deployment_settings().home,
            get_connection=self.get_connection,
            region=region,
            endpoint=endpoint,
        )
        self.mask(*sink.secrets)
        return sink
