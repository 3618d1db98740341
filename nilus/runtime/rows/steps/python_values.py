"""Values of numpy and pandas in rows, as Python's own: numbers, points in time, and None for what is missing."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import Any

_EXPECTED = "a time of microseconds in the years 1 to 9999"


def to_python(value: Any) -> Any:
    """Return a scalar or array of numpy or pandas as Python's own; anything else is returned as it is.

    Args:
        value: of a row.

    Raises:
        ValueError: Python has no value that is the same: nanoseconds, a year out of range, a number of more digits.
    """
    package = type(value).__module__.partition(".")[0]
    if package == "numpy":
        return _of_numpy(value)
    if package == "pandas":
        return _of_pandas(value)
    return value


def _of_pandas(value: Any) -> Any:
    pd = sys.modules["pandas"]  # it is there, as the value is

    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        if value.nanosecond:
            raise ValueError(f"{value} is not {_EXPECTED}")
        return value.to_pydatetime()
    return value


def _of_numpy(value: Any) -> Any:
    np = sys.modules["numpy"]
    if isinstance(value, np.ndarray):
        return [to_python(one) for one in value] if value.ndim else to_python(value[()])
    if isinstance(value, np.datetime64):
        return _of_datetime64(value)
    if isinstance(value, np.longdouble):
        if float(value) != value and not np.isnan(value):
            raise ValueError(f"{value} has more digits than a float")
        return float(value)
    return value.item() if isinstance(value, np.generic) else value


def _of_datetime64(value: Any) -> Any:
    np = sys.modules["numpy"]
    if np.isnat(value):
        return None
    found = value.item()
    if isinstance(found, (date, datetime)):
        return found
    moment = value.astype("datetime64[us]")
    if moment != value or not isinstance(moment.item(), datetime):
        raise ValueError(f"{value} is not {_EXPECTED}")
    return moment.item()
