"""Conditions on the rows of an Iceberg table, as pyiceberg has them."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression


def everything() -> BooleanExpression:
    """Every row."""
    from pyiceberg.expressions import AlwaysTrue

    return AlwaysTrue()


def equal(**values: Any) -> BooleanExpression:
    """The rows in which the columns have these values; every row if none is given."""
    from pyiceberg import expressions

    made: Any = expressions
    whole: BooleanExpression = reduce(
        made.And, (made.EqualTo(column, value) for column, value in values.items()), everything()
    )
    return whole


def is_within(bounds: dict[str, tuple[Any, Any]]) -> BooleanExpression:
    """The rows in which one of the columns lies between its bounds, these included; none if there are no columns.

    Args:
        bounds: column to its least and its greatest value.
    """
    from pyiceberg import expressions

    made: Any = expressions
    ranges = (
        made.And(made.GreaterThanOrEqual(column, low), made.LessThanOrEqual(column, high))
        for column, (low, high) in bounds.items()
    )
    whole: BooleanExpression = reduce(made.Or, ranges, made.AlwaysFalse())
    return whole
