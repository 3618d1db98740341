"""Tables instead of rows: Arrow tables and record batches, pandas and polars DataFrames."""

from __future__ import annotations

from typing import Any

from dlt.common.libs import is_arrow_object, is_pandas_frame, is_polars_frame


def is_frame(item: Any) -> bool:
    """Tell whether `item` is a table of rows; asks without importing any of the libraries."""
    return bool(is_arrow_object(item) or is_pandas_frame(item) or is_polars_frame(item))


def as_arrow(item: Any) -> Any:
    """Return a table as an Arrow table or record batch; what is one already is returned as it is."""
    if is_pandas_frame(item):
        from dlt.common.libs.pandas import pandas_to_arrow

        return pandas_to_arrow(item)
    if is_polars_frame(item):
        from dlt.common.libs.polars import polars_to_arrow

        return polars_to_arrow(item)
    return item


def with_index(frame: Any) -> Any:
    """Return a DataFrame of pandas in which the named levels of its index are columns, the first ones.

    dlt leaves an index out. One without a name numbers the rows, and is left out still; so is one that a column has the
    name of.
    """
    names = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=names) if names else frame
