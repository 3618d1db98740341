"""Which rows are in the run's interval, by the instant that each row's incremental-key names.

dlt compares the ends of an interval with the values of the column as they are: it fails where one is a `datetime` and
the other a text, and it compares texts letter by letter, so that `…T00:00:00.5Z` comes before `…T00:00:00Z`. Here
instants are compared, whatever a row writes them as: aware datetimes, naive ones and texts without an offset (both are
UTC), dates, texts in ISO 8601, and columns of Arrow tables and DataFrames of these types.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

from dlt.extract.incremental import Incremental

from nilus.errors import SourceError
from nilus.runtime.engine.internals.steps import ItemTransform, SupportsPipe
from nilus.runtime.rows.reading import order
from nilus.runtime.rows.reading.key_column import KeyColumn, is_none
from nilus.runtime.rows.steps.frames import is_frame


class Bounds:
    """The interval as one resource's rows meet it: `start <= key < end`.

    Args:
        resource: the resource's name, for messages.
        key: name or JSON path of the column.
        start: aware; None leaves the interval open.
        end: aware; None leaves the interval open.
        hides_values: columns are masked, so that no message may hold a value.
    """

    def __init__(
        self, resource: str, key: str, start: datetime | None, end: datetime | None, *, hides_values: bool = False
    ) -> None:
        self._column = KeyColumn(resource, key)
        self._start = start
        self._end = end
        self._hides_values = hides_values

    def keep(self, items: Any) -> Any:
        """Return what of `items` lies in the interval; None if nothing does.

        Args:
            items: a row, a list of rows, an Arrow table or batch, a DataFrame, or a list of those.

        Raises:
            SourceError: a row has no value under the key, or one that names no instant.
        """
        if isinstance(items, list):
            if not items:  # dlt gives some empty lists a meaning
                return items
            kept = [item for item in (self._keep_one(item) for item in items) if item is not None]
            return kept or None
        return self._keep_one(items)

    def _keep_one(self, item: Any) -> Any:
        if item is None:
            return None
        if is_frame(item):
            return self._keep_frame(item)
        return item if self._holds(self._column.value(item)) else None

    def _holds(self, value: Any) -> bool:
        moment = self._moment(value)
        if isinstance(moment, datetime):
            return (self._start is None or moment >= self._start) and (self._end is None or moment < self._end)
        start, end = self._days()
        return (start is None or moment >= start) and (end is None or moment < end)

    def _moment(self, value: Any) -> datetime | date:
        """Return the instant of a value, aware, or its day if it names no more than that.

        Raises:
            SourceError: it names neither.
        """
        if isinstance(value, str):
            value = self._read(value)
        if is_none(value):
            raise self._column.no_value()
        if isinstance(value, datetime):
            return order.in_utc(value)
        if isinstance(value, date):
            return value
        raise self._no_instant(f"a value of type {type(value).__name__}")

    def _read(self, text: str) -> datetime | date:
        try:
            return order.read_instant(text)
        except ValueError:
            raise self._no_instant("another text" if self._hides_values else f"the text {order.quote(text)}") from None

    def _days(self) -> tuple[date | None, date | None]:
        """Return the ends as days.

        Raises:
            SourceError: an end lies within a day, so that a row's day may be partly in the interval.
        """
        for end in (self._start, self._end):
            if end is not None and end.timetz().replace(tzinfo=None) != time():
                raise SourceError(
                    f"{self._who} holds days, which the interval cuts",
                    expected="an interval that begins and ends at midnight, in the offset it is written with",
                    found=f"{_write_end(self._start)} to {_write_end(self._end)}",
                    remedy="give the operator an interval of whole days, each end a template such as "
                    "{{ data_interval_start.in_timezone('Europe/Berlin') }}, or choose a key that holds points in time",
                )
        return (
            None if self._start is None else self._start.date(),
            None if self._end is None else self._end.date(),
        )

    def _keep_frame(self, frame: Any) -> Any:
        table, column = self._column.of(frame)
        if column is None:
            return table
        kept = table.filter(self._mask(column))
        return kept if kept.num_rows else None

    def _mask(self, column: Any) -> Any:
        import pyarrow as pa  # type: ignore[import-untyped]

        types = pa.types
        if types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind = column.type
        if types.is_timestamp(kind):
            ends = [None if end is None else _scalar(end, kind.tz) for end in (self._start, self._end)]
            return _is_between(column, *ends)
        if types.is_date(kind):
            days = [None if day is None else pa.scalar(day, pa.date32()) for day in self._days()]
            return _is_between(column.cast(pa.date32()), *days)
        if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
            return pa.array([self._holds(value) for value in column.to_pylist()])
        raise self._no_instant(f"a column of type {kind}")

    @property
    def _who(self) -> str:
        return f"Resource {self._column.resource!r}: incremental-key {self._column.key!r}"

    def _no_instant(self, found: str) -> SourceError:
        return SourceError(
            f"{self._who} cannot be compared with an interval of time",
            expected="a date or a point in time: datetime, date, or text in ISO 8601",
            found=found,
            remedy="choose a key that holds one; convert it in the source, numbers for instance by "
            "datetime.fromtimestamp(seconds, UTC), since nobody can tell seconds from milliseconds; or read from a "
            "cursor instead of an interval: interval=None on the operator, and no interval-start and interval-end",
        )


class Window(Incremental[Any]):
    """dlt's incremental with both ends given, hence without state; see `Bounds` for what is compared."""

    hides_values = False

    def bind(self, pipe: SupportsPipe) -> Window:
        """Get ready for the rows of one resource; called by dlt."""
        super().bind(pipe)
        self._bounds = Bounds(
            pipe.name, self.cursor_path, self.initial_value, self.end_value, hides_values=self.hides_values
        )
        return self

    def __call__(self, rows: Any, meta: Any = None) -> Any:  # noqa: ARG002 - dlt's signature
        """Return the rows that lie in the window; called by dlt."""
        return self._bounds.keep(rows)


class Since(ItemTransform[Any, Any]):
    """Leaves out the rows before the beginning of a cursor; goes before the cursor itself.

    Args:
        key: name or JSON path of the column.
        start: aware.
        hides_values: columns are masked, so that no message may hold a value.
    """

    placement_affinity: ClassVar[float] = 0.97

    def __init__(self, key: str, start: datetime, *, hides_values: bool = False) -> None:
        super().__init__(lambda row: row)
        self._hides_values = hides_values
        self._key = key
        self._start = start

    def bind(self, pipe: SupportsPipe) -> Since:
        """Get ready for the rows of one resource; called by dlt."""
        self._bounds = Bounds(pipe.name, self._key, self._start, None, hides_values=self._hides_values)
        return self

    def __call__(self, rows: Any, meta: Any = None) -> Any:  # noqa: ARG002 - dlt's signature
        """Return the rows that are not before the start; called by dlt."""
        return self._bounds.keep(rows)


class RequireValue(ItemTransform[Any, Any]):
    """Refuses rows without a value under the key of a cursor; goes before the cursor itself.

    dlt refuses None by itself; a NaT or NaN it would take for the cursor's new value, and after that lose rows.

    Args:
        key: name or JSON path of the column.
    """

    placement_affinity: ClassVar[float] = 0.98

    def __init__(self, key: str) -> None:
        super().__init__(lambda row: row)
        self._key = key

    def bind(self, pipe: SupportsPipe) -> RequireValue:
        """Get ready for the rows of one resource; called by dlt."""
        self._column = KeyColumn(pipe.name, self._key)
        return self

    def __call__(self, rows: Any, meta: Any = None) -> Any:  # noqa: ARG002 - dlt's signature
        """Return the rows as they are; called by dlt."""
        for item in rows if isinstance(rows, list) else (rows,):
            if item is None:
                continue
            if is_frame(item):
                self._column.of(item)
            elif is_none(self._column.value(item)):
                raise self._column.no_value()
        return rows


def _scalar(end: datetime, timezone: str | None) -> Any:
    import pyarrow as pa

    instant = end.astimezone(UTC)
    return pa.scalar(instant if timezone else instant.replace(tzinfo=None), pa.timestamp("us", timezone))


def _is_between(column: Any, start: Any, end: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    masks = []
    if start is not None:
        masks.append(pc.greater_equal(column, start))
    if end is not None:
        masks.append(pc.less(column, end))
    if not masks:
        return pa.array([True] * len(column))
    return masks[0] if len(masks) == 1 else pc.and_(*masks)


def _write_end(end: datetime | None) -> str:
    return "open" if end is None else end.isoformat()
