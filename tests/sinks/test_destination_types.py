"""dlt keeps a destination's type in the pipeline's state: it stays the same wherever the class stands."""

from __future__ import annotations

import pytest
from dlt.common.destination import Destination

from nilus.runtime.destinations.file_client import FilesDestination
from nilus.runtime.destinations.lakehouse_destination import lakehouse
from nilus.runtime.destinations.postgres_copy import PostgresDestination
from nilus.runtime.destinations.sqlalchemy_destination import SqlalchemyDestination

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
