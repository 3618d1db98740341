"""The character U+0000 in texts: kept by every sink that has a place for it, refused by name where none is."""

from __future__ import annotations

import json

import pytest

from nilus.errors import SourceError

SHOP = """
    import pandas as pd
    import pyarrow as pa

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            make = {{"rows": lambda rows: rows, "frame": pd.DataFrame, "table": pa.Table.from_pylist}}
            rows = make[uri.partition("?")[2]]({rows!r})
            return nilus.resource(lambda: [rows], name="t")
"""
KINDS = ["rows", "frame", "table"]
VALUES = {
    "text": "x\0y",
    "nothing_else": "\0",
    "nested": {"a": "x\0y"},
    "behind_a_backslash": {"a": ["\\\0"]},
}
HARMLESS = [{"id": 1, "v": "\\u0000", "j": {"a": "\\u0000", "b": "\\\\u0000"}}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", VALUES)
def test_postgresql_refuses_it_with_table_and_column(run_types, postgres_sink, name, kind):
    rows = [{"id": 1, "v": None}, {"id": 2, "v": VALUES[name]}]
    with pytest.raises(SourceError, match=r"Table 't': column 'v' has a text with the character U\+0000"):
        run_types(SHOP.format(rows=rows), postgres_sink.spec(), address=f"custom://Shop?{kind}")
    assert "t" not in postgres_sink.tables()


@pytest.mark.parametrize("kind", KINDS)
def test_six_characters_that_look_like_it_are_stored(run_types, postgres_sink, kind):
    run_types(SHOP.format(rows=HARMLESS), postgres_sink.spec(), address=f"custom://Shop?{kind}")
    ((text, nested),) = postgres_sink.rows(f"SELECT v, j FROM {postgres_sink.table('t')}")
    nested = json.loads(nested) if isinstance(nested, str) else nested
    assert (text, nested) == (HARMLESS[0]["v"], HARMLESS[0]["j"])


def test_every_other_sink_keeps_it(run_types, typed):
    rows = [{"id": 1, "v": "x\0y", "j": {"a": "x\0y"}}]
    if typed.name == "PostgreSQL":
        pytest.skip("refused, see above")
    run_types(SHOP.format(rows=rows), typed.spec(), address="custom://Shop?rows")
    _, found = typed.content("t")
    assert found[0]["v"] == "x\0y"
    nested = found[0]["j"]
    assert (json.loads(nested) if isinstance(nested, str) else nested) == {"a": "x\0y"}
