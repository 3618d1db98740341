"""SQL Server, and Synapse, which is reached the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nilus.errors import DestinationError
from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink, whole_number

_ODBC = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")


class SQLServerSink(WarehouseSink):
    """`mssql://user:password@host:1433/database?driver=…&encrypt=yes&trustservercertificate=yes`.

    Microsoft's ODBC driver is no Python package; without `driver` the newest one on the machine is taken.
    """

    name: ClassVar[str] = "mssql"
    supports: ClassVar[frozenset[str]] = frozenset()
    drivers: ClassVar[Mapping[str, str]] = {"pyodbc": "pyodbc"}
    example: ClassVar[str] = "mssql://user:password@host:1433/database"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "driver": Parameter("driver"),
        "connect_timeout": Parameter("connect_timeout", read=whole_number),
        "encrypt": Parameter("encrypt"),
        "trustservercertificate": Parameter("trustservercertificate"),
        "applicationintent": Parameter("applicationintent"),
    }
    refusals: ClassVar[tuple[str, ...]] = ("login failed", "permission was denied", "cannot open database")
    odbc_drivers: ClassVar[tuple[str, ...]] = _ODBC

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:  # noqa: ARG002
        """Choose the ODBC driver, and hand its own parameters to it.

        Raises:
            DestinationError: there is no ODBC driver, or the one that is named cannot be used.
        """
        own = ("encrypt", "trustservercertificate", "applicationintent")
        query = {name: credentials.pop(name) for name in own if name in credentials}
        if query:
            credentials["query"] = query
        driver = credentials.get("driver") or self._installed_driver()
        if driver not in self.odbc_drivers:
            raise DestinationError(
                f"{self.name} needs Microsoft's ODBC driver",
                expected=" or ".join(self.odbc_drivers),
                found=str(driver) if driver else "none on this worker",
                remedy="install the package msodbcsql18 of Microsoft on the worker, or correct the parameter driver",
            )
        credentials["driver"] = driver

    def _installed_driver(self) -> str | None:
        installed = _pyodbc().drivers()
        return next((name for name in self.odbc_drivers if name in installed), None)

    def make(self, credentials: dict[str, Any], options: dict[str, Any]) -> Any:
        """See `WarehouseSink`.

        Raises:
            DestinationError: the library of unixODBC is missing.
        """
        _pyodbc()
        return super().make(credentials, options)


def _pyodbc() -> Any:
    try:
        import pyodbc  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise DestinationError(
            "The library of unixODBC, which pyodbc needs, is not installed",
            expected="libodbc.so.2 on this worker",
            found=str(error),
            remedy="install the system's package unixodbc, and Microsoft's msodbcsql18",
        ) from None
    return pyodbc


class SynapseSink(SQLServerSink):
    """`synapse://user:password@host:1433/database`, as for SQL Server."""

    name: ClassVar[str] = "synapse"
    supports: ClassVar[frozenset[str]] = frozenset({"staging_bucket"})
    example: ClassVar[str] = "synapse://user:password@host:1433/database"
    odbc_drivers: ClassVar[tuple[str, ...]] = _ODBC[:1]
