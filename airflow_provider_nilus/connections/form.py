"""The form of our own connection type."""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "nilus"

CONNECTION_FIELDS: dict[str, Any] = {
    "address": {
        "label": "Address",
        "description": "Where rows go, for example duckdb:////data/lake.duckdb or postgresql://host:5432/database. "
        "No password here: user and password are filled in from the standard fields.",
        "schema": {
            "type": ["string", "null"],
            "examples": ["duckdb:////data/lake.duckdb", "postgresql://host:5432/database", "s3://bucket/folder"],
        },
    },
    # Airflow shows what is in an extra field unless its name says that it is secret.
    "secret_credentials": {
        "label": "Credentials",
        "description": "What else is needed to connect: a JSON object with dlt's own names, for example "
        '{"aws_access_key_id": "…", "aws_secret_access_key": "…", "endpoint_url": "…"}.',
        "schema": {"type": ["string", "null"], "format": "password"},
    },
}
CONNECTION_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port", "host"],
    "relabeling": {"login": "User", "password": "Password"},
}
