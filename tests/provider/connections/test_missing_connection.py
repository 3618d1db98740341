"""A sink whose connection is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_nilus.connections.resolution import resolve_sink
from nilus.errors import DestinationError


@pytest.mark.parametrize("address", ["dataos://lake", "dataos://lake/raw", "dataos://lake?acl=rw"])
def test_a_sink_without_its_connection_is_refused_for_good_with_its_id(address):
    def none(conn_id):
        raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")

    with pytest.raises(DestinationError, match="There is no Airflow connection 'lake'") as caught:
        resolve_sink(address, home=Path("/"), get_connection=none)
    assert not caught.value.retryable
