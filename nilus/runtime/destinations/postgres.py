"""PostgreSQL."""

from __future__ import annotations

from typing import Any, ClassVar

from nilus.errors import DestinationError
from nilus.runtime.destinations.base import Sink


class PostgresSink(Sink):
    """`postgresql://user:password@host:port/database?sslmode=…`; a driver in the scheme is left out."""

    name: ClassVar[str] = "postgres"

    def destination(self) -> Any:
        """Return dlt's PostgreSQL destination.

        Raises:
            DestinationError: the driver is not installed.
        """
        import dlt

        try:
            import psycopg2  # noqa: F401
        except ImportError as error:
            raise DestinationError(
                "The PostgreSQL driver is not installed",
                expected="psycopg2",
                found=str(error),
                remedy='install "airflow-provider-nilus[postgres]" on the worker',
            ) from error
        return dlt.destinations.postgres(credentials="postgresql://" + self.spec.address.partition("://")[2])
