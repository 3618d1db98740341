"""PostgreSQL."""

from __future__ import annotations

from typing import Any, ClassVar

from nilus.errors import DestinationError
from nilus.runtime.destinations.base import Sink


class PostgresSink(Sink):
    """`postgresql://user:password@host:port/database?sslmode=…`; a driver in the scheme is left out."""

    name: ClassVar[str] = "postgres"
    refusals: ClassVar[tuple[str, ...]] = (
        "password authentication failed",
        "no password supplied",
        "(role|database|user) .* does not exist",
        "no pg_hba.conf entry",
        "permission denied",
        "does not support SSL",
        "certificate verify failed",
        "certificate file .* does not exist",
        "invalid (dsn|connection option|port number|integer value|sslmode value)",
    )

    def destination(self) -> Any:
        """Return dlt's PostgreSQL destination.

        Raises:
            DestinationError: the driver is not installed, or the address lacks user, password, host or database.
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
        rest = self.spec.address.partition("://")[2]
        self._check(rest)
        return dlt.destinations.postgres(credentials=f"postgresql://{rest}", replace_strategy="insert-from-staging")

    def _check(self, rest: str) -> None:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(f"postgresql://{rest}")
            missing = [part for part in ("username", "password", "host", "database") if not getattr(url, part)]
        except (ArgumentError, ValueError):
            missing = ["anything that can be read"]
        if missing:
            raise DestinationError(
                "The PostgreSQL address is not complete",
                expected="postgresql://user:password@host:5432/database, special characters percent-encoded",
                found=f"an address without {', '.join(missing)}",
                remedy="complete sink.address, or name an Airflow connection: dataos://<connection id>",
            )
