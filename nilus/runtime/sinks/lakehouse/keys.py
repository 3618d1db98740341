"""Which rows of a load are kept, and which rows of a table they take the place of: the keys of a merge.

Only the columns that decide are held in memory; rows pass through a file at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nilus.runtime.sinks.lakehouse.filter import everything, is_within
from nilus.runtime.sinks.lakehouse.types import conform

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table

_ROW: Final = "__nilus_row"
_RANK: Final = "__nilus_rank"
_THERE: Final = "__nilus_there"


@dataclass(frozen=True)
class MergeRule:
    """How dlt says that the rows of a table are merged.

    Args:
        primary: columns that identify a row.
        merge: columns whose values are taken out as a whole and put in anew.
        dedup: the column that decides which of several rows of a key stays, and `asc` or `desc` (the first in that
            order stays); None keeps the last of a load file, and of several files any.
        hard_delete: the column that marks rows that are to be removed.
        insert_only: rows whose key the table has already are left out.
    """

    primary: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()
    dedup: tuple[str, str] | None = None
    hard_delete: str | None = None
    insert_only: bool = False

    @property
    def columns(self) -> list[str]:
        """Every column that decides."""
        named = [*self.primary, *self.merge, self.dedup[0] if self.dedup else None, self.hard_delete]
        return list(dict.fromkeys(name for name in named if name))

    @property
    def key_columns(self) -> list[str]:
        """The columns of all keys."""
        return list(dict.fromkeys((*self.primary, *self.merge)))

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The keys: a row of the table goes if any of them is one of the load's."""
        return [key for key in (self.primary, self.merge) if key]


@dataclass
class Incoming:
    """The deciding columns of the rows of a load.

    Args:
        rule: how they are merged.
        files: load files.
        schema: of the table, as `arrow_schema` returns it.
        where: the table's name.

    Attributes:
        keep: for each row, in the order of files and rows, whether it is put into the table.
    """

    rule: MergeRule
    files: Sequence[Path]
    schema: pa.Schema
    where: str
    keep: pa.Array = field(init=False)
    _keys: dict[tuple[str, ...], pa.Table] = field(init=False, default_factory=dict)
    _numbered: pa.Table | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        import numpy as np
        import pyarrow as pa

        rows = self._read()
        for key in self.rule.keys:
            self._keys[key] = rows.select(key).group_by(list(key)).aggregate([])
        keep = np.zeros(rows.num_rows, dtype=bool)
        keep[self._last_of_each(rows)] = True
        if self.rule.hard_delete:
            keep &= ~_mark(rows.column(self.rule.hard_delete)).to_numpy(zero_copy_only=False)
        self.keep = pa.array(keep)

    def matches(self, rows: pa.Table) -> pa.Array:
        """Tell of each row of the table whether the load has its key; null is never equal to null, as in SQL."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        found = np.zeros(rows.num_rows, dtype=bool)
        for key, values in self._keys.items():
            if len(key) == 1:
                (name,) = key
                hit = pc.is_in(rows.column(name), value_set=values.column(name).combine_chunks(), skip_nulls=True)
                found |= np.asarray(hit)
                continue
            numbered = rows.select(key).append_column(_ROW, pa.array(np.arange(rows.num_rows)))
            hits = numbered.join(values, keys=list(key), join_type="left semi").column(_ROW)
            found[hits.to_numpy()] = True
        return pa.array(found)

    def drop_present(self, rows: pa.Table) -> None:
        """Leave out the load's rows whose primary key is among `rows` of the table."""
        import numpy as np
        import pyarrow as pa

        key = list(self.rule.primary)
        if self._numbered is None:
            own = self._read().select(key)
            self._numbered = own.append_column(_ROW, pa.array(np.arange(own.num_rows)))
        hits = self._numbered.join(
            rows.select(key).group_by(key).aggregate([]), keys=key, join_type="left semi"
        ).column(_ROW)
        keep = self.keep.to_numpy(zero_copy_only=False).copy()
        keep[hits.to_numpy()] = False
        self.keep = pa.array(keep)

    def may_match(self, _table: Table) -> BooleanExpression:
        """Return a condition that every row of the table that matches fulfils: files out of range are not read."""
        import pyarrow.compute as pc

        bounds = {}
        for key, values in self._keys.items():
            least = pc.min_max(values.column(key[0])).as_py()
            low, high = least["min"], least["max"]
            if low is None:
                continue
            if key[0] in bounds or isinstance(low, bool) or not isinstance(low, int | str | date):
                return everything()
            bounds[key[0]] = (low, high)
        return is_within(bounds)

    def _read(self) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        columns = self.rule.columns
        schema = pa.schema([self.schema.field(name) for name in columns])
        parts = []
        for file in self.files:
            there = set(pq.read_schema(file).names)
            part = pq.read_table(file, columns=[name for name in columns if name in there])
            parts.append(conform(part, schema, where=self.where))
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def _last_of_each(self, rows: pa.Table) -> Any:
        """Return the numbers of the rows that stay when of each primary key one does."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        number = np.arange(rows.num_rows)
        if not self.rule.primary:
            return number
        if self.rule.dedup:
            column, direction = self.rule.dedup
            ordered = rows.select([column]).append_column(_ROW, pa.array(number))
            # The one that stays comes last, and null never wins.
            by = [
                (_THERE, "ascending"),
                (column, "ascending" if direction == "desc" else "descending"),
                (_ROW, "ascending"),
            ]
            there = pc.is_valid(ordered.column(column))
            number = ordered.append_column(_THERE, there).sort_by(by).column(_ROW).to_numpy()
        rank = np.empty(rows.num_rows, dtype=np.int64)
        rank[number] = np.arange(rows.num_rows)
        grouped = rows.select(self.rule.primary).append_column(_RANK, pa.array(rank))
        best = grouped.group_by(list(self.rule.primary)).aggregate([(_RANK, "max")]).column(f"{_RANK}_max")
        return number[best.to_numpy()]


def _mark(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        return pc.fill_null(column, False)
    return pc.is_valid(column)
