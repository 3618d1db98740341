"""What becomes of a value in a column with a type hint: the same for rows, DataFrames and Arrow tables."""

from __future__ import annotations

from datetime import UTC, datetime

import documented_table

SHOP = """
    import datetime as dt
    from decimal import Decimal
    import pandas as pd
    import pyarrow as pa

    CASES = {cases}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            row = {{"id": 1, **{{name: eval(value) for name, value in CASES.items()}}}}
            columns = {{name: [value] for name, value in row.items()}}
            made = {{"rows": [row], "frame": pd.DataFrame(columns), "table": pa.table(columns)}}
            return [nilus.resource(iter([one]), name=name) for name, one in made.items()]
"""
MOMENT = "dt.datetime(2024, 1, 31, 12, 30, tzinfo=dt.timezone.utc)"
VALUES = {
    "text": ["5", "1.5", "True", "dt.date(2024, 1, 31)", MOMENT, 'b"ab"'],
    "bigint": ["'5'", "' 5 '", "'1.0'", "''", "True", "2.0", "2.5", "'12345678901234567890123'", "Decimal('3.00')"],
    "double": ["'1.50'", "''", "2**53", "2**53 + 1", "'12345678901234567890123'", "True", "Decimal('0.1')"],
    "decimal": ["'1.50'", "''", "1.5", "7", "True", "' 5 '"],
    "bool": ["1", "0", "2", "1.0", "0.5", "'true'", "'no'", "'x'", "''"],
    "timestamp": [
        "1706700000", "1706700000.5", "'2024-01-31T12:30:00+02:00'", "'2024-01-31'", "'31/01/2024'", "''", "True",
        "dt.date(2024, 1, 31)",
    ],
    "date": ["'2024-01-31'", "'31/01/2024'", MOMENT, "86400", "86401", "''"],
    "time": ["'12:30'", "'x'", "5"],
    "json": [
        "'plain'", "'null'", "'5'", "'\"x\"'", "''", "'{\"a\": 12345678901234567890123}'", "'[1.5, null]'", "5", "True",
    ],
}  # fmt: skip
NAMES = {f"{kind}_{number}": (kind, value) for kind, values in VALUES.items() for number, value in enumerate(values)}


def _shown(found):
    if not found:
        return "null"
    (name, _), value = found
    if isinstance(value, datetime):
        value = value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    shown = repr(bytes(value)) if isinstance(value, bytes | memoryview) else value or repr(value)
    return f"`{shown}`" if "__v_" not in name else f"beside it, in `…__v_{name.partition('__v_')[2]}`: `{shown}`"


def _content(sink, table):
    columns = sink.columns(table)
    (row,) = sink.rows(f"SELECT {', '.join(map(sink.quoted, columns))} FROM {sink.table(table)}")
    found = dict(zip(columns.items(), row, strict=True))
    return {
        case: next(
            ((key, value) for key, value in found.items() if key[0].partition("__v_")[0] == case and value is not None),
            None,
        )
        for case in NAMES
    }


def test_a_value_of_a_hinted_column_is_the_same_for_every_kind_of_row(run_types, sink):
    source = SHOP.format(cases={name: value for name, (_, value) in NAMES.items()})
    run_types(source, sink.spec(), type_hints={name: kind for name, (kind, _) in NAMES.items()})
    rows, frame, table = (_content(sink, name) for name in ("rows", "frame", "table"))
    different = {name: (NAMES[name], rows[name], table[name]) for name in NAMES if rows[name] != table[name]}
    assert different == {}
    assert {name: (NAMES[name], rows[name], frame[name]) for name in NAMES if rows[name] != frame[name]} == {}
    if sink.name == "DuckDB":
        lines = [
            [f"`{kind}`", f"`{value.replace('dt.timezone.utc', 'UTC').replace('dt.', '')}`", _shown(rows[name])]
            for name, (kind, value) in NAMES.items()
        ]
        documented_table.compare("types.md", "type hints", ["hint", "value", "in the table"], lines)
