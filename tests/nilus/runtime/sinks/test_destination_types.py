"""dlt keeps a destination's type in the pipeline's state: it stays the same wherever the class stands."""

from __future__ import annotations

import pytest
from dlt.common.destination import Destination

from nilus.runtime.sinks.databases.postgres_copy import PostgresDestination
from nilus.runtime.sinks.databases.sqlalchemy import SqlalchemyDestination
from nilus.runtime.sinks.files.client import FilesDestination
from nilus.runtime.sinks.lakehouse.destination import lakehouse

_TYPES = [
    (FilesDestination, "dlt.destinations.filesystem"),
    (PostgresDestination, "dlt.destinations.postgres"),
    (SqlalchemyDestination, "nilus.runtime.destinations.sqlalchemy_destination.SqlalchemyDestination"),
    (lakehouse, "nilus.runtime.destinations.lakehouse_destination.lakehouse"),
]


@pytest.mark.parametrize(("factory", "name"), _TYPES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_type_dlt_keeps_in_its_state_is_the_one_of_earlier_releases(factory: type, name: str) -> None:
    destination: Destination = object.__new__(factory)
    assert destination.destination_type == name
