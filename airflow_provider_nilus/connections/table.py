"""The table of connection types: one row for each type that a sink's address may name."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_nilus import lakehouse_connection
from airflow_provider_nilus.connection_profile import Profile
from airflow_provider_nilus.connections import databases, object_stores, own, warehouses

PROFILES: Mapping[str, Profile] = {
    profile.conn_type: profile
    for profile in (
        *databases.PROFILES,
        *warehouses.PROFILES,
        *object_stores.PROFILES,
        *own.PROFILES,
        *lakehouse_connection.PROFILES,
    )
}
