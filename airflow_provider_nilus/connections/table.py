"""The table of connection types: one row for each type that a sink's address may name."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_nilus.connections import addressed, databases, lakehouse, object_stores, warehouses
from airflow_provider_nilus.connections.profile import Profile

PROFILES: Mapping[str, Profile] = {
    profile.conn_type: profile
    for profile in (
        *databases.PROFILES,
        *warehouses.PROFILES,
        *object_stores.PROFILES,
        *addressed.PROFILES,
        *lakehouse.PROFILES,
    )
}
