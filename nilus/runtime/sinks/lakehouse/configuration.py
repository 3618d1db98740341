"""What dlt knows of the lakehouse: its configuration and its empty credentials."""

from __future__ import annotations

import dataclasses
from typing import Final

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import CredentialsConfiguration
from dlt.common.destination.client import DestinationClientDwhConfiguration


@configspec
class LakehouseCredentials(CredentialsConfiguration):
    """Nothing: the lake has them, and dlt keeps what it is given in traces."""

    def __str__(self) -> str:
        return "lakehouse"


@configspec
class LakehouseConfiguration(DestinationClientDwhConfiguration):
    """What dlt knows of the destination.

    Attributes:
        location: the warehouse as it may be shown.
    """

    destination_type: Final[str] = dataclasses.field(  # type: ignore[misc]
        default="lakehouse", init=False, repr=False, compare=False
    )
    credentials: LakehouseCredentials | None = None
    location: str | None = None

    def data_location(self) -> str | None:
        """Where the tables are."""
        return self.location
