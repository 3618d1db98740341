"""The lakehouse as a destination of dlt."""

from __future__ import annotations

from typing import Any, Final

from dlt.common.arithmetics import DEFAULT_NUMERIC_PRECISION, DEFAULT_NUMERIC_SCALE
from dlt.common.destination import Destination, DestinationCapabilitiesContext
from dlt.common.schema import Schema

from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.client import LakehouseClient
from nilus.runtime.sinks.lakehouse.configuration import LakehouseConfiguration, LakehouseCredentials
from nilus.runtime.sinks.lakehouse.layout import Layout

MERGE_STRATEGIES: Final = ("delete-insert", "upsert", "insert-only")
_LONGEST_NAME = 255
_LOADS_AT_ONCE = 2


class lakehouse(Destination[LakehouseConfiguration, LakehouseClient]):  # noqa: N801 - dlt calls it by this name
    """Iceberg tables in a catalog. A subclass: `_raw_capabilities` is dlt's, abstract there.

    Args:
        lake: the warehouse.
        layout: what `partition-by` and `cluster-by` ask for.
        location: the warehouse as it may be shown.
    """

    def __init__(self, lake: Lake, layout: Layout, location: str, **kwargs: Any) -> None:
        super().__init__(credentials=LakehouseCredentials(), location=location, **kwargs)
        self._lake = lake
        self._layout = layout

    @property
    def destination_type(self) -> str:
        """What dlt keeps in its state: a name that stays when this module moves (dlt derives it from the path)."""
        return "nilus.runtime.destinations.lakehouse_destination.lakehouse"

    @property
    def spec(self) -> type[LakehouseConfiguration]:
        """See `Destination`."""
        return LakehouseConfiguration

    @property
    def client_class(self) -> type[LakehouseClient]:
        """See `Destination`."""
        return LakehouseClient

    def client(self, schema: Schema, initial_config: LakehouseConfiguration | None = None) -> LakehouseClient:
        """Return a client; all clients of a run share one catalog."""
        client = super().client(schema, initial_config)  # type: ignore[arg-type]
        client.lake, client.layout = self._lake, self._layout
        return client

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        caps = DestinationCapabilitiesContext.generic_capabilities(
            preferred_loader_file_format="parquet",
            supported_table_formats=["iceberg"],
            supported_merge_strategies=list(MERGE_STRATEGIES),
        )
        caps.supported_loader_file_formats = ["parquet", "reference"]
        caps.supported_replace_strategies = ["insert-from-staging"]
        caps.decimal_precision = (DEFAULT_NUMERIC_PRECISION, DEFAULT_NUMERIC_SCALE)
        caps.wei_precision = (DEFAULT_NUMERIC_PRECISION, 0)
        caps.max_identifier_length = _LONGEST_NAME
        caps.max_column_identifier_length = _LONGEST_NAME
        caps.enforces_nulls_on_alter = False
        caps.max_parallel_load_jobs = _LOADS_AT_ONCE
        return caps


lakehouse.register()
