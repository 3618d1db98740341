"""dlt's incrementals, the workflow's and the sources' own, with the order of values that `order` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from dlt.extract.incremental import Incremental

from nilus.errors import SourceError
from nilus.runtime.engine.internals.incrementals import (
    ArrowIncremental,
    IncrementalCursorPathHasValueNone,
    IncrementalTransform,
    JsonIncremental,
    lag_unit,
    replace_comparison,
    subtract_lag,
)
from nilus.runtime.rows.reading import order
from nilus.runtime.rows.reading.key_column import is_none, spelling_in
from nilus.runtime.rows.steps.frames import as_arrow

Verdict = Literal["before", "after", "inside", "newest", "same"]
"""Where a row is: out of the range, in it, and there behind the newest value so far, or at it."""


def use(*, hides_values: bool) -> None:
    """Let every incremental of this process compare by `order`; calling it again is harmless.

    Args:
        hides_values: columns are masked, so that no message may hold a value.
    """
    replace_comparison(ByOrder(hides_values=hides_values))


class ByOrder:
    """Compares the values under cursors by `order`; see `Comparison`.

    Args:
        hides_values: no message may hold a value.
    """

    def __init__(self, *, hides_values: bool) -> None:
        self._hides_values = hides_values

    def transform_of(self, kind: type[IncrementalTransform]) -> type[IncrementalTransform]:
        """Return the class that takes the place of one of dlt's."""
        kinds: dict[type[IncrementalTransform], type[IncrementalTransform]] = {
            JsonIncremental: OrderedRows,
            ArrowIncremental: OrderedTables,
        }
        return kinds.get(kind, kind)

    def begin(self, transform: IncrementalTransform, state: dict[str, Any]) -> None:
        """Get a transform ready; `state` is the cursor's part of the resource's state."""
        if isinstance(transform, _Ordered):
            transform.begin(state, hides_values=self._hides_values)

    def take_lag(self, cursor: Incremental[Any], last: Any) -> Any:
        """Return the last value with the cursor's lag taken off, not beyond the initial value.

        Raises:
            SourceError: nothing says whether the lag is days or seconds, or the values have no order.
        """
        try:
            if lag_unit(cursor) is None and isinstance(last, str):
                raise order.NoOrderError(order.place(last).kind, last)
            lagged = subtract_lag(cursor, last)
            if cursor.initial_value is None:
                return lagged
            sign = order.compare(order.place(cursor.initial_value), order.place(lagged))
        except ValueError as error:
            raise SourceError(
                f"Resource {cursor.resource_name!r}: the unit of the lag of cursor {cursor.cursor_path!r} is unknown",
                expected="numbers, days (the lag is days) or points in time (it is seconds); for texts, an "
                "initial_value or a type such as incremental[datetime] that says which of the two they are",
                found=_describe_found(error, last, hides_values=self._hides_values),
                remedy="give the incremental an initial_value or a type, or convert the column in the source",
            ) from None
        return cursor.initial_value if (sign if cursor.last_value_func is max else -sign) >= 0 else lagged


class _Ordered(IncrementalTransform):
    """What rows and tables share; `_state` is the cursor's part of the resource's state."""

    _state: dict[str, Any] | None = None
    _hides_values = False
    _newest: order.Place | None = None

    def begin(self, state: dict[str, Any], *, hides_values: bool) -> None:
        """Get ready for the rows of a run, or of one item that a transformer reads from."""
        self._state, self._hides_values = state, hides_values
        try:
            self._start = _place(self.start_value)
            self._end = _place(self.end_value)
            last = _place(state["last_value"]) if self.lag else None
            if last is not None and self._compare_newest(last) > 0:
                # Rows that are read again do not move the cursor back.
                self._set_newest(last)
        except order.NoOrderError as error:
            raise self._refusal(error) from None

    def _compare_newest(self, place: order.Place) -> int:
        newest = self._newest
        if self.last_value is None:
            return 1
        if newest is None or newest.value is not self.last_value:  # moved by dlt
            newest = self._newest = order.place(self.last_value)
        return self._compare(place, newest)

    def _compare(self, row: order.Place, bound: order.Place) -> int:
        sign = order.compare(row, bound)
        return sign if self.last_value_func is max else -sign

    def _set_newest(self, place: order.Place) -> None:
        self._newest, self.last_value = place, place.value
        if self._state is not None and self.lag:
            # dlt takes the greater of the two by its own comparison, which they are now both.
            self._state["last_value"] = place.value

    def _judge(self, value: Any, digest: Callable[[], str]) -> Verdict:
        """Say where a row with this value under the cursor is, and take it for the newest if it is.

        Args:
            value: not missing.
            digest: returns what rows with the start's own value are told apart by.
        """
        try:
            place = order.place(value)
            if self._end is not None:
                sign = self._compare(place, self._end)
                if sign > 0 or (sign == 0 and self.range_end == "open"):
                    return "after"
            self.seen_data = True
            sign = self._compare_newest(place)
            # What is behind the newest is behind the start too.
            if sign <= 0 and self._start is not None:
                from_start = self._compare(place, self._start)
                if from_start < 0 or (from_start == 0 and (self.range_start == "open" or self._is_loaded(digest))):
                    return "before"
        except order.NoOrderError as error:
            raise self._refusal(error) from None
        if sign > 0:
            self._set_newest(place)
            return "newest"
        return "same" if sign == 0 else "inside"

    def _is_loaded(self, digest: Callable[[], str]) -> bool:
        return self.boundary_deduplication and digest() in self.start_unique_hashes

    def _refusal(self, error: order.NoOrderError) -> SourceError:
        return SourceError(
            f"Resource {self.resource_name!r}: the values of {self.cursor_path!r}, its cursor, have no order",
            expected="values that can be compared: numbers, days, points in time (as text in ISO 8601), or texts of "
            "one length or without numbers in them",
            found=error.kinds if self._hides_values else str(error),
            remedy="convert them in the source, or choose another column; a cursor of another kind is left behind by "
            "full-refresh",
        )


class OrderedRows(_Ordered, JsonIncremental):
    """Rows: dicts and objects. A subclass: `_compiled_cursor_path` is dlt's."""

    _plain: tuple[type[Any], ...] = ()
    """Types of values that dlt's own comparison orders beside the bounds, which is faster."""

    def begin(self, state: dict[str, Any], *, hides_values: bool) -> None:
        """Get ready for the rows of a run, or of one item that a transformer reads from."""
        super().begin(state, hides_values=hides_values)
        self._plain = order.plain_types(self.start_value, self.end_value, self.last_value)

    def find_cursor_value(self, row: Any) -> Any:
        """Return the value under the cursor; one that is not a number or not a time is missing, as None is."""
        if isinstance(row, Mapping) and self._compiled_cursor_path is None and self.cursor_path not in row:
            self.cursor_path = spelling_in(row, self.cursor_path)
        value = super().find_cursor_value(row)
        if value is None or not is_none(value):
            return value
        if self.on_cursor_value_missing == "raise":
            raise IncrementalCursorPathHasValueNone(self.resource_name, self.cursor_path, row)
        return None

    def __call__(self, row: Any) -> tuple[Any, bool, bool]:
        """Return the row or None, and whether it is before the range's start, or behind its end; called by dlt."""
        value = None if row is None else self.find_cursor_value(row)
        if value is None:
            return (None if self.on_cursor_value_missing == "exclude" else row), False, False
        if type(value) in self._plain and order.is_plainly_ordered(value):
            self.seen_data = True  # else dlt takes the newest value for the start, and adapts both to the row
            return super().__call__(row)
        verdict = self._judge(value, lambda: self._digest(row, legacy=self.start_hashes_legacy))
        if verdict == "newest":
            self._plain = order.plain_types(self.start_value, self.end_value, self.last_value)
        if verdict in ("before", "after"):
            return None, verdict == "before", verdict == "after"
        if self.boundary_deduplication:
            if verdict == "newest":
                self.last_rows, self.unique_hashes, self.unique_hashes_legacy = [row], set(), False
            elif verdict == "same":
                self.last_rows.append(row)
        return row, False, False

    def _digest(self, row: Any, *, legacy: bool) -> str:
        return self.compute_unique_value(row, self.primary_key, legacy)


class OrderedTables(_Ordered, ArrowIncremental):
    """Arrow tables and batches, DataFrames."""

    def __call__(self, item: Any) -> tuple[Any, bool, bool]:
        """Return what of a table is in the range, or None, and whether some of it is out of it; called by dlt."""
        table = as_arrow(item)
        self.cursor_path = spelling_in(table.schema.names, self.cursor_path)
        if not table.num_rows or self.cursor_path not in table.schema.names:
            return super().__call__(item)
        column = table.column(self.cursor_path)
        if self.on_cursor_value_missing != "raise" and column.null_count == table.num_rows:
            # dlt would take a table without any value for the end of the range.
            return (item if self.on_cursor_value_missing == "include" else None), False, False
        if self._is_compared_by_arrow(column.type):
            self.seen_data = True  # else dlt takes the newest value for the start, and adapts both to the column
            result = super().__call__(item)
            if self.last_value is not None:
                self._set_newest(order.place(self.last_value))
            return result
        return self._by_value(table, column.to_pylist())

    def _is_compared_by_arrow(self, kind: Any) -> bool:
        import pyarrow as pa  # type: ignore[import-untyped]

        bounds = [bound for bound in (self._start, self._end, _place(self.last_value)) if bound is not None]
        kinds = {bound.kind for bound in bounds}
        if pa.types.is_timestamp(kind):
            # Of a zone, dlt would compare wall clocks.
            fits = kind.tz in (None, "UTC") and kind.unit != "ns" and kinds <= {order.INSTANT}
            return fits and all((bound.value.tzinfo is None) == (kind.tz is None) for bound in bounds)
        if pa.types.is_date(kind):
            return kinds <= {order.DAY}
        return bool((pa.types.is_integer(kind) or pa.types.is_decimal(kind)) and kinds <= {order.NUMBER})

    def _by_value(self, table: Any, values: list[Any]) -> tuple[Any, bool, bool]:
        verdicts: list[Verdict | None] = []
        newest: list[int] = []
        moved = False
        for number, value in enumerate(values):
            if is_none(value):
                verdicts.append(self._missing())
                continue
            verdict = self._judge(value, partial(self._start_digest, table, number))
            verdicts.append(verdict)
            if verdict == "newest":
                newest, moved = [number], True
            elif verdict == "same":
                newest.append(number)
        if self.boundary_deduplication and newest:
            legacy = self.unique_hashes_legacy and not moved
            digests = set(self._digests(table, newest, legacy))
            self.unique_hashes = digests if moved else self.unique_hashes | digests
            self.unique_hashes_legacy = legacy
        kept = [number for number, verdict in enumerate(verdicts) if verdict not in (None, "before", "after")]
        return (table.take(kept) if kept else None), "before" in verdicts, "after" in verdicts

    def _start_digest(self, table: Any, row: int) -> str:
        return self._digests(table, [row], self.start_hashes_legacy)[0]

    def _missing(self) -> Verdict | None:
        if self.on_cursor_value_missing == "raise":
            raise IncrementalCursorPathHasValueNone(self.resource_name, self.cursor_path)
        return "inside" if self.on_cursor_value_missing == "include" else None

    def _digests(self, table: Any, rows: list[int], legacy: bool) -> list[str]:
        key = self.primary_key(table) if callable(self.primary_key) else self.primary_key
        columns = table.schema.names if key is None else [key] if isinstance(key, str) else list(key)
        return self.compute_unique_values(table.take(rows), columns, legacy)


def _place(value: Any) -> order.Place | None:
    return None if value is None else order.place(value)


def _describe_found(error: ValueError, value: Any, *, hides_values: bool) -> str:
    """Say which values an error is about; without the values if they must not be seen."""
    if not hides_values:
        return str(error) if isinstance(error, order.NoOrderError) else order.quote(value)
    return error.kinds if isinstance(error, order.NoOrderError) else f"a value of type {type(value).__name__}"
