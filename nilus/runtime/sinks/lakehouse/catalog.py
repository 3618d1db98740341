"""The Iceberg catalog of a lakehouse: which one an address and its credentials name, and nothing of the machine's own.

pyiceberg's `load_catalog` mixes `~/.pyiceberg.yaml` and `PYICEBERG_*` of the environment into what it is given, so the
catalogs are made by their classes instead, from exactly the properties that the connection holds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from nilus.errors import DestinationError
from nilus.runtime.sinks.lakehouse import internals
from nilus.values.address import Address
from nilus.values.redaction import secret_values

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

SCHEME: Final = "iceberg"
KINDS: Final = ("rest", "sql", "glue")
CATALOG_FILE: Final = "catalog.sqlite"
"""The SQLite catalog of a local warehouse that names no other, in the warehouse's folder."""

NAME: Final = "nilus"
"""The name a catalog has unless the connection says another: a SQL catalog keeps its tables under it."""

_SQLITE_WAIT_SECONDS = 60
_MAKING_ATTEMPTS = 20


class Lake:
    """A warehouse and its catalog, opened when it is first asked for; safe to share between threads.

    Args:
        address: `iceberg:///folder` (a local warehouse with its own SQLite catalog), or an address for people, whose
            scheme says the kind of catalog: `iceberg+rest://…`, `iceberg+sql://…`, `iceberg+glue://…`.
        credentials: properties of the catalog and of its object store by pyiceberg's names (`uri`, `warehouse`,
            `token`, `s3.endpoint`, …); `name`, the catalog's; `login` and `password`, which go where the kind of
            catalog has them: into the URI of a database, or to a REST service as client credentials (a password
            alone as a token).

    Attributes:
        trace: by load id, what the snapshots of the load say of where it comes from.
    """

    def __init__(self, address: str, credentials: Mapping[str, Any] | None = None) -> None:
        self.properties = properties(address, credentials or {})
        self.trace: dict[str, dict[str, str]] = {}
        self._catalog: Catalog | None = None
        self._lock = threading.Lock()

    @property
    def catalog(self) -> Catalog:
        """The catalog.

        Raises:
            DestinationError: pyiceberg is not installed, or the catalog cannot be opened.
        """
        with self._lock:
            if self._catalog is None:
                _ignore_machine_settings()
                logging.getLogger("pyiceberg").setLevel(logging.WARNING)  # else a line for every file that is opened
                self._catalog = open_catalog(self.properties)
            return self._catalog

    @property
    def secrets(self) -> tuple[str, ...]:
        """The property values that no message may hold."""
        return secrets_of(self.properties)

    def table(self, namespace: str, name: str) -> Table | None:
        """Return a table as it is now, or None if there is none."""
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        try:
            return self.catalog.load_table((namespace, name))
        except (NoSuchTableError, NoSuchNamespaceError):
            return None

    def tables(self, namespace: str) -> list[str]:
        """Return the names of the tables of a namespace, in order; none if it is not there."""
        from pyiceberg.exceptions import NoSuchNamespaceError

        try:
            return sorted(identifier[-1] for identifier in self.catalog.list_tables((namespace,)))
        except NoSuchNamespaceError:
            return []

    def has_namespace(self, namespace: str) -> bool:
        """Tell whether a namespace is there."""
        return self.catalog.namespace_exists((namespace,))


def secrets_of(properties: Mapping[str, str]) -> tuple[str, ...]:
    """Return what must not be shown of a catalog's properties: values of secret names, and passwords in addresses."""
    found = dict.fromkeys(secret_values(properties))
    found[properties.get("credential", "").partition(":")[2]] = None
    for value in properties.values():
        found |= dict.fromkeys(Address.parse(value).secrets)
    return tuple(filter(None, found))


def properties(address: str, credentials: Mapping[str, Any]) -> dict[str, str]:
    """Return the catalog's properties, the embedded catalog's where nothing else is said.

    Raises:
        DestinationError: the kind of catalog is not known, or the address names no warehouse.
    """
    scheme, _, rest = address.partition("://")
    found = {str(name): str(value) for name, value in credentials.items() if value not in (None, "")}
    kind = found.setdefault("type", scheme.partition("+")[2].lower() or "sql")
    if kind not in KINDS:
        raise DestinationError(
            f"No lakehouse has a catalog of the kind {kind!r}",
            expected=f"one of {', '.join(KINDS)}",
            found=kind,
            remedy="correct the catalog kind of the connection",
        )
    _log_in(kind, found)
    if "+" not in scheme and "warehouse" not in found:
        found["warehouse"] = _folder(rest)
    if found.get("warehouse", "").startswith("/"):
        # With its scheme, so that engines other than pyiceberg know a local file when they see one.
        found["warehouse"] = f"file://{found['warehouse']}"
    if kind == "sql" and "uri" not in found:
        found["uri"] = _embedded_path(found.get("warehouse", ""))
    return found


def _log_in(kind: str, found: dict[str, str]) -> None:
    login, password = found.pop("login", ""), found.pop("password", "")
    if kind == "rest" and password:
        found.update({"credential": f"{login}:{password}"} if login else {"token": password})
        if login:  # pyiceberg assumes it, but only for so long
            found.setdefault("oauth2-server-uri", f"{found.get('uri', '').rstrip('/')}/v1/oauth/tokens")
    elif kind == "sql" and login and "@" not in found.get("uri", ""):
        scheme, mark, rest = found.get("uri", "").partition("://")
        user = quote(login, safe="") + (f":{quote(password, safe='')}" if password else "")
        found["uri"] = f"{scheme}{mark}{user}@{rest}"


def open_catalog(properties: Mapping[str, str]) -> Catalog:
    """Open a catalog from its properties and from nothing else.

    Raises:
        DestinationError: pyiceberg or a driver is not installed, or a folder cannot be made.
    """
    own = dict(properties)
    kind, name = own.pop("type"), own.pop("name", NAME)
    try:
        retrying = Retrying(
            retry=retry_if_exception(_is_made_twice),
            stop=stop_after_attempt(_MAKING_ATTEMPTS),
            wait=wait_fixed(0.1),
            reraise=True,
        )
        return retrying(_make, kind, name, own)
    except ImportError as error:
        raise DestinationError(
            f"What a lakehouse with a {kind} catalog needs is not installed",
            expected="pyiceberg, and the driver of the catalog's database",
            found=str(error),
            remedy='install "airflow-provider-nilus[lakehouse]" on the worker; a catalog in PostgreSQL also needs '
            '"airflow-provider-nilus[postgres]"',
        ) from error


def _make(kind: str, name: str, own: dict[str, str]) -> Catalog:
    if kind == "rest":
        from pyiceberg.catalog.rest import RestCatalog

        return RestCatalog(name, **own)
    if kind == "glue":
        from pyiceberg.catalog.glue import GlueCatalog

        return GlueCatalog(name, **own)
    from pyiceberg.catalog.sql import SqlCatalog

    if own["uri"].startswith("sqlite:///"):
        _make_folder(Path(own["uri"].removeprefix("sqlite:///").partition("?")[0]).parent)
        mark = "&" if "?" in own["uri"] else "?"
        own = {**own, "uri": f"{own['uri']}{mark}timeout={_SQLITE_WAIT_SECONDS}"}
    return SqlCatalog(name, **own)


def _is_made_twice(error: BaseException) -> bool:
    """Tell whether another run makes the tables of a catalog in the same moment."""
    return any(words in str(error) for words in ("already exists", "pg_type_typname_nsp_index"))


def _ignore_machine_settings() -> None:
    try:
        internals.ignore_machine_settings()
    except ImportError as error:
        raise DestinationError(
            "A lakehouse needs pyiceberg, which is not installed",
            expected="pyiceberg",
            found=str(error),
            remedy='install "airflow-provider-nilus[lakehouse]" on the worker',
        ) from error


def _folder(rest: str) -> str:
    text = unquote(rest.partition("?")[0])
    path = Path("/" + text.strip("/"))
    if not text.startswith("/") or path == Path("/"):
        raise DestinationError(
            "The lakehouse's address names no folder",
            expected=f"{SCHEME}:///absolute/folder, or dataos://<connection id>",
            found=rest or "nothing",
            remedy="name the warehouse's folder, or a connection of the type nilus_lakehouse",
        )
    return str(path)


def _embedded_path(warehouse: str) -> str:
    folder = warehouse.removeprefix("file://")
    if not folder.startswith("/"):
        raise DestinationError(
            "The lakehouse's warehouse is no local folder, and no catalog is named for it",
            expected="a catalog's URI: a REST service, or a database such as postgresql+psycopg2://…",
            found=f"warehouse {warehouse or 'none'}",
            remedy="fill in the catalog URI of the connection; only a local folder gets a catalog of its own",
        )
    return f"sqlite:///{folder.rstrip('/')}/{CATALOG_FILE}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(
            f"The warehouse's folder cannot be made: {error.strerror}",
            expected="a folder this worker may write to",
            found=str(folder),
            remedy="correct the warehouse location or the folder's rights",
        ) from error
