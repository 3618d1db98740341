"""How the rows of a lakehouse's tables are laid out: partitions and the order within files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nilus.errors import DestinationError

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.sorting import SortOrder

log = logging.getLogger("nilus")

BUCKETS: Final = 16
"""How many buckets a `bucket` partition has that does not say."""

TRANSFORMS: Final = ("year", "month", "day", "hour", "bucket", "identity")


@dataclass(frozen=True)
class Layout:
    """What `partition-by` and `cluster-by` ask for, for the tables that have the columns.

    Args:
        partition_by: mappings with `column`, `type` (one of `TRANSFORMS`) and optionally `name`, `index`,
            `bucket_count`.
        cluster_by: names of columns, most significant first.
    """

    partition_by: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    cluster_by: Sequence[str] = field(default_factory=tuple)

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.partition_by or self.cluster_by)

    @property
    def columns(self) -> set[str]:
        """Every column that is named."""
        return {entry["column"] for entry in self.partition_by} | set(self.cluster_by)

    def of(self, schema: Schema) -> Layout:
        """Return the part of this layout that a table with `schema` can have."""
        names = {column.name for column in schema.fields}
        return Layout(
            tuple(entry for entry in self.partition_by if entry["column"] in names),
            tuple(column for column in self.cluster_by if column in names),
        )

    def fields(self, schema: Schema) -> list[tuple[str, Any, str]]:
        """Return column, transform and name of each partition field, in the order of their indexes.

        Raises:
            DestinationError: a transform does not go with the type of its column.
        """
        entries = enumerate(self.partition_by)
        ordered = sorted(entries, key=lambda item: _index(item[1], item[0]))
        return [_field(entry, schema) for _, entry in ordered]

    def spec(self, schema: Schema) -> PartitionSpec:
        """Return the partition spec of a table that is made with `schema`.

        Raises:
            DestinationError: a transform does not go with the type of its column.
        """
        from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec

        fields = [
            PartitionField(schema.find_field(column).field_id, PARTITION_FIELD_ID_START + number, transform, name)
            for number, (column, transform, name) in enumerate(self.of(schema).fields(schema))
        ]
        return PartitionSpec(*fields)

    def order(self, schema: Schema) -> SortOrder:
        """Return the sort order of a table that is made with `schema`."""
        from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, NullOrder, SortField, SortOrder
        from pyiceberg.transforms import IdentityTransform

        columns = self.of(schema).cluster_by
        fields = [
            SortField(schema.find_field(column).field_id, IdentityTransform(), null_order=NullOrder.NULLS_LAST)
            for column in columns
        ]
        return SortOrder(*fields) if fields else UNSORTED_SORT_ORDER

    def arrange(self, transaction: Transaction, table: Table) -> None:
        """Bring a table's partition spec and sort order to what is asked for, where they differ.

        Data files that are there stay as they are: Iceberg keeps the spec each file was written with.

        Args:
            transaction: open, of `table`.
            table: as it is now.

        Raises:
            DestinationError: a transform does not go with the type of its column.
        """
        schema = transaction.table_metadata.schema()
        layout = self.of(schema)
        if self.partition_by:
            self._partition(transaction, schema, layout.fields(schema))
        if layout.cluster_by and sort_columns(table) != list(layout.cluster_by):
            from pyiceberg.transforms import IdentityTransform

            order = transaction.update_sort_order()
            for column in layout.cluster_by:
                order = order.asc(column, IdentityTransform())
            order.commit()

    @staticmethod
    def _partition(transaction: Transaction, schema: Schema, wanted: list[tuple[str, Any, str]]) -> None:
        spec = transaction.table_metadata.spec()
        present = [(schema.find_column_name(part.source_id), part.transform, part.name) for part in spec.fields]
        if present == wanted:
            return
        if present:
            names = ", ".join(str(name) for _, _, name in present)
            log.warning("The table's partitions were %s: rows loaded from now on have the new ones", names)
        keep = [part for part in present if part in wanted]
        update = transaction.update_spec()
        for part in present:
            if part not in keep:
                update.remove_field(part[2])
        for column, transform, name in wanted:
            if (column, transform, name) not in keep:
                update.add_field(column, transform, name)
        update.commit()


def sort_columns(table: Table) -> list[str]:
    """Return the columns that the rows of each file of a table are ordered by; only plain ones count."""
    from pyiceberg.transforms import IdentityTransform

    schema = table.schema()
    return [
        name
        for part in table.sort_order().fields
        if isinstance(part.transform, IdentityTransform) and (name := schema.find_column_name(part.source_id))
    ]


def _index(entry: Mapping[str, Any], position: int) -> tuple[int, int]:
    index = entry.get("index")
    return (position if index is None else int(index), position)


def _field(entry: Mapping[str, Any], schema: Schema) -> tuple[str, Any, str]:
    from pyiceberg import transforms

    column, kind = entry["column"], entry["type"]
    made = {
        "year": transforms.YearTransform,
        "month": transforms.MonthTransform,
        "day": transforms.DayTransform,
        "hour": transforms.HourTransform,
        "identity": transforms.IdentityTransform,
    }
    count = int(entry.get("bucket_count") or BUCKETS)
    transform: Any = transforms.BucketTransform(num_buckets=count) if kind == "bucket" else made[kind]()
    source = schema.find_field(column).field_type
    if not transform.can_transform(source):
        raise DestinationError(
            f"partition-by: column {column!r} cannot be partitioned by {kind}",
            expected="a date or a timestamp for year, month and day, a timestamp for hour, no double for bucket",
            found=f"a column of the type {source}",
            remedy="choose another transform, or give the column another type by type-hints",
        )
    default = column if kind == "identity" else f"{column}_{kind}"
    return column, transform, str(entry.get("name") or default)
