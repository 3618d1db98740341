"""A value that a column cannot hold as it is comes into a column beside it; tables of one resource may differ."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

SOURCE = """
    import datetime as dt
    from decimal import Decimal
    import pandas as pd
    import pyarrow as pa

    UTC = dt.timezone.utc

    def rows(values, start):
        return [dict(id=start + number, v=value) for number, value in enumerate(values)]

    def table(values, start):
        array = values if isinstance(values, pa.Array) else pa.array(values)
        return pa.table(dict(id=list(range(start, start + len(array))), v=array))

    def frame(values, start):
        return pd.DataFrame(dict(id=range(start, start + len(values)), v=values))

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            made = globals()[uri.partition("?")[2]]
            def one(name, *parts):
                def items():
                    start = 1
                    for values in parts:
                        yield made(values, start)
                        start += len(values)
                return nilus.resource(items, name=name)
            return [one(name, *parts) for name, parts in CASES.items()]

    CASES = {}
"""
NOON = "dt.datetime(2024, 1, 31, 12, 30, tzinfo=UTC)"
# First values and later values as Python writes them; the column beside, and what it holds.
CASES = {
    "fraction_into_bigint": ("[1, 2]", "[3.0, 1.5]", "v_double", [1.5]),
    "number_into_bool": ("[True, False]", "[1, 5]", "v_bigint", [5]),
    "moment_into_date": ("[dt.date(2024, 1, 1)]", f"[{NOON}]", "v_timestamp", [dt.datetime(2024, 1, 31, 12, 30)]),
    "wide_integer_into_double": ("[1.5]", "[2, 2**53 + 1]", "v_bigint", [2**53 + 1]),
    "text_into_bigint": ("[1]", '["7", "x"]', "v_text", ["x"]),
    "number_into_text": ('["a"]', "[5, 1]", "", []),
    "text_into_date": ("[dt.date(2024, 1, 1)]", '["2024-01-02", "no day"]', "v_text", ["no day"]),
}
TABLES = {
    "fine_decimal": (
        "pa.array([Decimal('1.25')], pa.decimal128(10, 2))",
        "[Decimal('1.5555'), Decimal('2.50')]",
        "v_decimal",
        [Decimal("1.5555")],
    ),
    "seconds_then_microseconds": (
        "pa.array([1], pa.timestamp('s', 'UTC'))",
        f"pa.array([{NOON} + dt.timedelta(microseconds=1)], pa.timestamp('us', 'UTC'))",
        "",
        [],
    ),
    "narrow_then_wide_integers": ("pa.array([1], pa.int16())", "[2, 70_000]", "v_bigint", [70_000]),
    "wide_then_narrow_integers": ("[2**40]", "pa.array([1], pa.int8())", "", []),
    "unsigned_integers": ("[1]", "pa.array([2, 3], pa.uint64())", "", []),
    "dictionaries": ("pa.array(['a', 'b']).dictionary_encode()", "['c']", "", []),
    "large_texts": ("pa.array(['a'], pa.large_string())", "pa.array(['b'], pa.string())", "", []),
    "text_into_json": ("[[1, 2]]", "['no json', '[3]']", "v_text", ["no json"]),
}


def _source(cases):
    written = "".join(f"    CASES[{name!r}] = ({', '.join(parts)},)\n" for name, parts in cases.items())
    return SOURCE + written


def _plain(value):
    return value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value


def _check(sink, cases):
    for name, (_, _, beside, values) in cases.items():
        assert set(sink.columns(name)) - {"id", "v"} == ({f"v__{beside}"} if beside else set()), name
        if beside:
            found = sink.rows(f"SELECT v__{beside} FROM {sink.table(name)} WHERE v__{beside} IS NOT NULL")
            assert [_plain(value) for (value,) in found] == values, name
        (held,) = sink.rows(f"SELECT count(v), count(id) FROM {sink.table(name)}")
        assert held[0] == held[1] - len(values), name


@pytest.mark.parametrize("kind", ["rows", "table"])
def test_what_does_not_fit_is_beside_the_column(run_types, sink, kind):
    cases = CASES if kind == "rows" else CASES | TABLES
    run_types(_source({name: case[:2] for name, case in cases.items()}), sink.spec(), address=f"custom://Shop?{kind}")
    _check(sink, cases)


def test_what_does_not_fit_a_table_of_an_earlier_run_is_beside_the_column(run_types, sink):
    for part in (0, 1):
        source = _source({name: (case[part],) for name, case in (CASES | TABLES).items()})
        run_types(source, sink.spec(), address="custom://Shop?table")
    _check(sink, CASES | TABLES)


def test_a_second_value_that_fits_nowhere_is_refused_with_its_column(run_types, duckdb):
    from nilus.errors import SourceError

    cases = {"t": ("[1]", "pa.array([Decimal('1.5')])", "pa.array([Decimal('0.12345678901234567890123456789')])")}
    with pytest.raises(SourceError, match="Resource 't': table 't' cannot hold a value of column 'v'") as caught:
        run_types(_source(cases), duckdb.spec(), address="custom://Shop?table")
    assert "0.12345678901234567890123456789" in caught.value.found


def test_every_kind_of_sink_keeps_what_does_not_fit(run_types, typed):
    cases = {
        name: CASES[name]
        for name in ("fraction_into_bigint", "number_into_bool", "moment_into_date", "text_into_bigint")
    }
    run_types(_source({name: case[:2] for name, case in cases.items()}), typed.spec(), address="custom://Shop?table")
    for name, (_, _, beside, values) in cases.items():
        _, rows = typed.content(name)
        found = [row.get(f"v__{beside}") for row in rows]
        assert len([value for value in found if value not in typed.nulls]) == len(values), name


CONTRACT = """
    import pyarrow as pa

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            def items():
                for id, value in ((1, 1), (2, 1.5), (3, 3)):
                    row = {"id": id, "v": value}
                    yield pa.table({name: [one] for name, one in row.items()}) if "table" in uri else row
            return nilus.resource(items, name="t", schema_contract={"data_type": "%s"})
"""


@pytest.mark.parametrize("kind", ["rows", "table"])
@pytest.mark.parametrize(
    ("mode", "kept"), [("discard_row", [(1, 1), (3, 3)]), ("discard_value", [(1, 1), (2, None), (3, 3)])]
)
def test_a_contract_on_types_decides_about_columns_beside_others(run_types, duckdb, kind, mode, kept):
    run_types(CONTRACT % mode, duckdb.spec(), address=f"custom://Shop?{kind}")
    assert duckdb.rows(f"SELECT id, v FROM {duckdb.table('t')} ORDER BY id") == kept
    assert list(duckdb.columns("t")) == ["id", "v"]


@pytest.mark.parametrize("kind", ["rows", "table"])
def test_a_contract_that_freezes_types_refuses_columns_beside_others(run_types, duckdb, kind):
    from nilus.errors import SourceError

    with pytest.raises(SourceError, match="v__v_double"):
        run_types(CONTRACT % "freeze", duckdb.spec(), address=f"custom://Shop?{kind}")


# The parts, how many values there are in all, and how many of them are None.
EMPTY = {
    "empty_then_text": (("[None]", "['a']"), 2, 1),
    "text_then_empty": (("['a']", "[None]"), 2, 1),
    "empty_between": (("[1.5]", "[None, None]", "[2.5]"), 4, 2),
    "empty_then_moments": (("[None]", "[dt.datetime(2024, 1, 1, tzinfo=UTC)]", "[None]"), 3, 2),
    "empty_then_numbers": (("[None]", "[1]", "[None]", "[2]"), 4, 2),
}


@pytest.mark.parametrize("page_size", [50_000, 1], ids=["one file", "many files"])
@pytest.mark.parametrize("kind", ["frame", "table"])
def test_a_column_that_is_empty_in_one_part_is_loaded(run_types, sink, kind, page_size):
    source = _source({name: parts for name, (parts, _, _) in EMPTY.items()})
    run_types(source, sink.spec(), address=f"custom://Shop?{kind}", page_size=page_size)
    for name, (_, rows, empty) in EMPTY.items():
        assert sink.rows(f"SELECT count(*), count(v) FROM {sink.table(name)}") == [(rows, rows - empty)], name


MISSING = """
    import pandas as pd
    import pyarrow as pa

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            def items():
                yield pd.DataFrame({"id": [1], "a": ["x"]})
                yield pd.DataFrame({"b": [1.5], "id": [2]})
                yield pa.table({"a": ["y"], "b": [2.5], "c": [True], "id": [3]})
                yield pa.table({"id": [4]})
            return nilus.resource(items, name="t")
"""


@pytest.mark.parametrize("page_size", [50_000, 1], ids=["one file", "many files"])
def test_a_column_that_is_missing_in_one_part_is_loaded(run_types, sink, page_size):
    run_types(MISSING, sink.spec(), page_size=page_size)
    found = sink.rows(f"SELECT id, a, b, c FROM {sink.table('t')} ORDER BY id")
    assert [tuple(row) for row in found] == [
        (1, "x", None, None),
        (2, None, 1.5, None),
        (3, "y", 2.5, True),
        (4, None, None, None),
    ]
