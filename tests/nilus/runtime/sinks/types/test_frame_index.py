"""The index of a DataFrame: with a name it is a column, without one it numbers the rows."""

from __future__ import annotations

SHOP = """
    import pandas as pd

    ROWS = {"day": ["mon", "tue"], "shop": [1, 2], "v": [1.5, 2.5]}
    FRAMES = {
        "named": lambda frame: frame.set_index("day"),
        "of_two_levels": lambda frame: frame.set_index(["day", "shop"]),
        "of_one_named_level": lambda frame: frame.set_index(["day", "shop"]).rename_axis(["day", None]),
        "grouped": lambda frame: frame.groupby("day").max(),
        "also_a_column": lambda frame: frame.set_index("day", drop=False),
        "without_a_name": lambda frame: frame.set_index("day").rename_axis(None),
        "a_list_of_frames": lambda frame: [frame.set_index("day"), frame.set_index("day")[:0]],
    }

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return [nilus.resource(iter([make(pd.DataFrame(ROWS))]), name=name) for name, make in FRAMES.items()]
"""
COLUMNS = {
    "named": ["day", "shop", "v"],
    "of_two_levels": ["day", "shop", "v"],
    "of_one_named_level": ["day", "v"],
    "grouped": ["day", "shop", "v"],
    "also_a_column": ["day", "shop", "v"],
    "without_a_name": ["shop", "v"],
    "a_list_of_frames": ["day", "shop", "v"],
}


def test_a_named_index_is_a_column(run_types, sink):
    run_types(SHOP, sink.spec())
    for name, columns in COLUMNS.items():
        assert sorted(sink.columns(name)) == columns, name
        if "day" in columns:
            found = sink.rows(f"SELECT day, v FROM {sink.table(name)} ORDER BY v")
            assert [tuple(row) for row in found] == [("mon", 1.5), ("tue", 2.5)], name
