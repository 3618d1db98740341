"""A lakehouse: Apache Iceberg tables in a catalog."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from dlt import Pipeline

from nilus.runtime.recovery.journal import Journal
from nilus.runtime.sinks.base import Sink
from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.layout import Layout


class LakehouseSink(Sink):
    """`iceberg:///folder`, or what a connection of the type `nilus_lakehouse` gives; see `Lake`."""

    name: ClassVar[str] = "lakehouse"
    best_file_format: ClassVar[str | None] = "parquet"
    supports: ClassVar[frozenset[str]] = frozenset({"partition_by", "cluster_by"})
    merge_remedy: ClassVar[str] = "choose append, replace, merge or delete+insert; scd2 needs a SQL database"
    refusals: ClassVar[tuple[str, ...]] = (
        "40[13] Client Error",
        "invalid_client",
        "AuthorizationExpired",
        "UnauthorizedError",
        "ForbiddenError",
        "NotAuthorized",
        "password authentication failed",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "Access ?Denied",
        "NoSuchBucket",
        "Permission denied",
        "Read-only file system",
    )

    @cached_property
    def lake(self) -> Lake:
        """The warehouse; its catalog is opened when it is first needed."""
        return Lake(self.spec.address, self.spec.credentials)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values among the credentials that no message may hold."""
        return self.lake.secrets

    def destination(self) -> Any:
        """Return the destination.

        Raises:
            DestinationError: pyiceberg is not installed, or the catalog cannot be opened.
        """
        from nilus.runtime.sinks.lakehouse.destination import lakehouse

        layout = Layout(tuple(self.spec.partition_by), tuple(self.spec.cluster_by))
        return lakehouse(lake=self.lake, layout=layout, location=self.spec.display_address)

    def dataset(self, pipeline: Pipeline) -> str:
        """See `Sink`. A dataset is a namespace of the catalog."""
        client: Any = pipeline.destination_client()
        return str(client.namespace)

    def journal(self, pipeline: Pipeline) -> Journal:
        """See `Sink`."""
        from nilus.runtime.sinks.lakehouse.journal import LakehouseRows

        client: Any = pipeline.destination_client()
        return Journal(LakehouseRows(self.lake, client.namespace, client.schema))
