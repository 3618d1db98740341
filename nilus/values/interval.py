"""The ends of an interval: instants, written as dates or in ISO 8601."""

from __future__ import annotations

import datetime as dt


def parse_instant(value: str | dt.date) -> dt.datetime:
    """Return the instant that `value` names, with its offset; what names no offset is UTC.

    Args:
        value: a date (`2024-01-31`, its midnight) or a date and a time in ISO 8601, `T` or a space between them,
            with or without fraction and offset; or Python's own `date` and `datetime`.

    Raises:
        ValueError: `value` is none of these.
    """
    if isinstance(value, str):
        instant = dt.datetime.fromisoformat(value.strip())
    elif isinstance(value, dt.datetime):
        instant = value
    else:
        instant = dt.datetime.combine(value, dt.time())
    if instant.utcoffset() is None:
        return instant.replace(tzinfo=dt.UTC)
    return instant
