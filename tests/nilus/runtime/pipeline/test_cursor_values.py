"""Cursors over values of every kind that has an order, and rows that have no value at all."""

from __future__ import annotations

import pytest

from nilus.errors import SourceError

NUMBERS_AND_TEXTS = """
    from datetime import UTC, datetime, timedelta
    from zoneinfo import ZoneInfo
    import pyarrow as pa

    HOURS = timedelta(hours=2)
    # Each round begins with the last row of the one before.
    ROUNDS = {1: range(1, 4), 2: range(3, 7), 3: range(6, 7)}
    WRITINGS = {
        "seconds": lambda n: 1767312000 + n,
        "milliseconds": lambda n: (1767312000 + n) * 1000,
        "fractions": lambda n: n + 0.5,
        "codes": lambda n: f"A-{n:04}",
        "counted": lambda n: str(n + 6),
        "instants": lambda n: f"2026-01-01T0{n // 2}:00:00" + (".5Z" if n % 2 else "Z"),
        "offsets": lambda n: f"2026-01-01T0{n + 2 * (n % 2)}:30:00+0{2 * (n % 2)}:00",
        "night": lambda n: datetime(2024, 10, 27, n, 45, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin")) - HOURS,
        "uuids": lambda n: f"0{n}d5c2a0-0000-7000-8000-000000000000",
    }

    class Shop(CustomSource):
        def nilus_source(self, uri, table, run, **kwargs):
            for name, write in WRITINGS.items():
                rows = [{"id": n, "key": write(n)} for n in ROUNDS[run]]
                yield nilus.resource(rows, name=name, primary_key="id")
                yield nilus.resource([pa.Table.from_pylist(rows)], name=name + "_table", primary_key="id")
"""


def test_a_cursor_of_numbers_or_of_any_texts_reads_what_is_new_and_nothing_twice(run_duckdb):
    state = {}
    for run in (1, 2, 3):
        outcome = run_duckdb(
            NUMBERS_AND_TEXTS,
            options={"run": run},
            strategy="append",
            incremental_key="key",
            state=state,
            run_id=f"manual__{run}",
        )
        state = outcome.loaded.state
    assert outcome.rows == {}, "the third round holds nothing new"
    tables = run_duckdb.sink.tables()
    assert len(tables) == 18
    for table in tables:
        assert run_duckdb.sink.rows(f"SELECT id FROM raw.{table} ORDER BY id") == [(n,) for n in range(1, 7)], table


WITHOUT_A_VALUE = """
    from datetime import UTC, datetime
    import pandas as pd
    import pyarrow as pa

    def at(hour):
        return datetime(2026, 1, 2, hour, tzinfo=UTC)

    NONE, NAN, NAT = None, float("nan"), pd.NaT

    @nilus.resource
    def orders(kind, shape):
        first, gap = (at(1), NONE) if kind == "None" else (at(1), NAT) if kind == "NaT" else (1.0, NAN)
        later = at(2) if kind != "NaN" else 2.0
        rows = [{"id": 1, "at": first}, {"id": 2, "at": gap}, {"id": 3, "at": later}]
        if shape == "rows":
            yield from rows
        elif shape == "list":
            yield rows
        elif shape == "frame":
            yield pd.DataFrame(rows)
        else:
            yield pa.table({"id": [1, 2, 3], "at": [row["at"] for row in rows]})

    class Shop(CustomSource):
        def nilus_source(self, uri, table, kind, shape, **kwargs):
            return orders(kind, shape)
"""
# An interval would say of numbers that they are no instants, before it looks for a value.
CASES = [
    (kind, shape, interval)
    for kind in ("None", "NaT", "NaN")
    for shape in ("rows", "list", "frame", "table")
    for interval in (None, ("2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00"))
    if not (kind == "NaT" and shape == "table") and not (kind == "NaN" and interval)
]


@pytest.mark.parametrize(("kind", "shape", "interval"), CASES)
def test_a_row_without_a_value_stops_the_run_and_is_neither_lost_nor_loaded_twice(run_duckdb, kind, shape, interval):
    with pytest.raises(SourceError, match="Resource 'orders': a row has no value in 'at'") as caught:
        run_duckdb(
            WITHOUT_A_VALUE,
            options={"kind": kind, "shape": shape},
            strategy="append",
            incremental_key="at",
            interval=interval,
        )
    assert "on_cursor_value_missing" in caught.value.remedy
    assert not caught.value.retryable
    assert not run_duckdb.sink.exists("orders")


def test_a_resource_may_say_itself_what_happens_to_rows_without_a_value(run_duckdb):
    code = WITHOUT_A_VALUE.replace(
        "@nilus.resource\n    def orders(kind, shape):",
        "@nilus.resource\n    def orders(\n        kind, shape, cursor=nilus.sources.incremental("
        '"at", on_cursor_value_missing="exclude")\n    ):',
    )
    assert code != WITHOUT_A_VALUE
    outcome = run_duckdb(
        code, options={"kind": "None", "shape": "rows"}, strategy="append", incremental_key="at", interval=None
    )
    assert outcome.rows == {"orders": 2}
