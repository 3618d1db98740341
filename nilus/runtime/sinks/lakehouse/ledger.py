"""Small tables of a lakehouse that say what was loaded: dlt's own and the journal.

Every row that is written is a commit of its own, which costs a file and a snapshot; so now and then, instead of adding
a file, a write puts all rows into one file and forgets snapshots that nobody will ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from nilus.errors import DestinationError
from nilus.runtime.sinks.lakehouse import filter
from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.commit import Change, commit, drop_all, with_retries, write
from nilus.runtime.sinks.lakehouse.internals import has_expired
from nilus.runtime.sinks.lakehouse.layout import Layout
from nilus.runtime.sinks.lakehouse.types import arrow_schema, evolve, new_schema

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

FILES: Final = 30
"""How many data files such a table has at most before a write puts them together."""

KEPT: Final = timedelta(days=1)
"""How long the snapshots of such a table are kept."""

LEDGER_PROPERTIES: Final = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Ledger:
    """One such table.

    Args:
        lake: where it is.
        namespace: its schema.
        name: its name.
        columns: dlt's, `name` and `data_type` at least.
        guard: called before each try of rows that are added; what it raises stops them.
        worth_keeping: returns those of all rows that are kept when they are put together; None keeps them all.
    """

    lake: Lake
    namespace: str
    name: str
    columns: Sequence[Mapping[str, Any]]
    worth_keeping: Callable[[list[Row]], list[Row]] | None = None
    guard: Callable[[], None] = lambda: None

    @property
    def exists(self) -> bool:
        """Whether the table is there."""
        return self.lake.table(self.namespace, self.name) is not None

    def make(self) -> None:
        """Make the namespace and the table, unless they are there."""
        table = self.lake.table(self.namespace, self.name)
        if table is None:
            make_table(self.lake, self.namespace, self.name, self.columns, LEDGER_PROPERTIES)
        else:
            with_retries(self._load, lambda table: evolve(table, self.columns))

    def rows(self, **equal: str) -> list[Row]:
        """Return the rows in which the columns have these values; none if there is no table."""
        table = self.lake.table(self.namespace, self.name)
        return _rows(table, equal) if table is not None else []

    def add(self, rows: Iterable[Row], summary: Mapping[str, str] | None = None) -> None:
        """Add rows, as one snapshot.

        Args:
            rows: the rows.
            summary: what the snapshot says of itself.
        """
        new = list(rows)

        def change(table: Table) -> Change:
            self.guard()
            if _files(table) < FILES:
                return Change(added=_write(table, new))
            together = [*_rows(table, {}), *new]
            if self.worth_keeping is not None:
                together = self.worth_keeping(together)
            return Change(added=_write(table, together), rewrite=drop_all, also=_forget)

        commit(self._load, change, summary or {})

    def update(self, edit: Callable[[list[Row]], list[Row]]) -> None:
        """Put other rows in the place of all rows, as one snapshot; what others write meanwhile is edited too.

        Args:
            edit: gets all rows and returns what is to be there; called again if another writer was first.
        """

        def change(table: Table) -> Change:
            return Change(added=_write(table, edit(_rows(table, {}))), rewrite=drop_all, also=_forget)

        commit(self._load, change, {})

    def _load(self) -> Table:
        return self.lake.catalog.load_table((self.namespace, self.name))


def make_table(
    lake: Lake,
    namespace: str,
    name: str,
    columns: Iterable[Mapping[str, Any]],
    properties: Mapping[str, str],
    layout: Layout | None = None,
) -> None:
    """Make a table in a namespace, and the namespace; another run that makes them in the same moment is as good."""
    from pyiceberg.exceptions import TableAlreadyExistsError

    make_namespace(lake, namespace)
    listed = list(columns)
    schema, layout = new_schema(listed), layout or Layout()
    try:
        lake.catalog.create_table(
            (namespace, name),
            schema=schema,
            partition_spec=layout.spec(schema),
            sort_order=layout.order(schema),
            properties=dict(properties),
        )
    except TableAlreadyExistsError:
        table = lake.table(namespace, name)
        if table is None:
            raise DestinationError(
                f"Table {namespace}.{name} cannot be made in the lakehouse's catalog",
                expected="a table, or no name of that kind",
                found="a view, or a table that the catalog names but cannot load",
                remedy="remove it from the catalog, or choose another dest-table",
            ) from None
        with_retries(lambda: lake.catalog.load_table((namespace, name)), lambda table: evolve(table, listed))


def make_namespace(lake: Lake, namespace: str) -> None:
    """Make a namespace, unless it is there; another run that makes it in the same moment is as good."""
    if lake.has_namespace(namespace):
        return
    try:
        lake.catalog.create_namespace((namespace,))
    except Exception:
        if not lake.has_namespace(namespace):
            raise


def _rows(table: Table, equal: Mapping[str, str]) -> list[Row]:
    found: list[Row] = table.scan(row_filter=filter.equal(**equal)).to_arrow().to_pylist()
    return found


def _write(table: Table, rows: list[Row]) -> list[DataFile]:
    import pyarrow as pa

    schema: pa.Schema = arrow_schema(table.schema())
    return write(table, [pa.Table.from_pylist(rows, schema=schema)])


def _files(table: Table) -> int:
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary.additional_properties.get("total-data-files", "0"))


def _forget(transaction: Transaction) -> None:
    """Forget old snapshots; those that branches and tags point to stay."""
    from pyiceberg.table.update.snapshot import ExpireSnapshots

    expire = ExpireSnapshots(transaction).older_than(datetime.now(UTC) - KEPT)
    if has_expired(expire):
        expire.commit()
