"""What each sink makes of each type, as docs/types.md says it."""

from __future__ import annotations

from datetime import UTC, datetime

import documented_table

from nilus.errors import NilusError

SOURCE = """
    import datetime as dt
    import decimal
    import uuid
    import pyarrow as pa

    BERLIN = dt.timezone(dt.timedelta(hours=2))
    VALUES = {
        "text": "naïve €\\n'\\"",
        "empty_text": "",
        "integer": -(2**63),
        "boolean": True,
        "double": 0.1,
        "decimal": decimal.Decimal("12345678901234567890.123456789"),
        "decimal_small": decimal.Decimal("0.10"),
        "date": dt.date(1900, 2, 28),
        "time": dt.time(23, 59, 59, 123456),
        "instant": dt.datetime(2024, 1, 31, 12, 30, 0, 123456, tzinfo=dt.timezone.utc),
        "instant_offset": dt.datetime(2024, 7, 1, 0, 30, tzinfo=BERLIN),
        "instant_naive": dt.datetime(2024, 1, 31, 12, 30),
        "instant_text": "2024-01-31T12:30:00+02:00",
        "binary": b"\\x00\\xff",
        "uuid": uuid.UUID(int=7),
        "json_dict": {"a": [1, None], "b": {"c": "€"}},
        "json_list": [{"a": 1}, {"a": 2}],
        "nothing": None,
        "not_a_number": float("nan"),
        "infinity": float("inf"),
        "integer_wide": 2**63,
        "decimal_fine": decimal.Decimal("0.1234567890123"),
        "duration": dt.timedelta(seconds=1),
    }

    def table(values):
        columns = {name: [value, None] for name, value in values.items()}
        if "uuid" in columns:
            columns["uuid"] = pa.array([uuid.UUID(int=7).bytes, None], pa.uuid())
        if "integer_wide" in columns:
            columns["integer_wide"] = pa.array([2**63, None], pa.uint64())
        return pa.table({"id": [1, 2], **columns})

    def rows(values):
        return [{"id": 1, **values}, {"id": 2, **dict.fromkeys(values)}]

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            kind, _, names = uri.partition("?")[2].partition("=")
            names = names.split(",")
            values = {name: VALUES[name] for name in names}
            made = rows(values) if kind == "rows" else globals()["table"](values)
            return nilus.resource(lambda: [made], name=f"{kind}_{names[0]}_{len(names)}")
"""
TOGETHER = [
    "text",
    "empty_text",
    "integer",
    "boolean",
    "double",
    "decimal",
    "decimal_small",
    "date",
    "time",
    "instant",
    "instant_offset",
    "instant_naive",
    "instant_text",
    "binary",
    "uuid",
    "json_dict",
    "json_list",
    "nothing",
]
ALONE = ["not_a_number", "infinity", "integer_wide", "decimal_fine", "duration"]
WRITTEN = {
    "text": '`"naïve €\\n\'\\""`',
    "empty_text": '`""`',
    "integer": "`-(2**63)`",
    "boolean": "`True`",
    "double": "`0.1`",
    "decimal": '`Decimal("12345678901234567890.123456789")`',
    "decimal_small": '`Decimal("0.10")`',
    "date": "`date(1900, 2, 28)`",
    "time": "`time(23, 59, 59, 123456)`",
    "instant": "`datetime(…, 12, 30, 0, 123456, tzinfo=UTC)`",
    "instant_offset": "`datetime(2024, 7, 1, 0, 30, tzinfo=+02:00)`",
    "instant_naive": "`datetime(2024, 1, 31, 12, 30)`",
    "instant_text": '`"2024-01-31T12:30:00+02:00"`',
    "binary": '`b"\\x00\\xff"`',
    "uuid": "`UUID(int=7)`",
    "json_dict": '`{"a": [1, None], "b": {"c": "€"}}`',
    "json_list": '`[{"a": 1}, {"a": 2}]`',
    "nothing": "only `None`",
    "not_a_number": '`float("nan")`',
    "infinity": '`float("inf")`',
    "integer_wide": "`2**63`",
    "decimal_fine": '`Decimal("0.1234567890123")`',
    "duration": "`timedelta(seconds=1)`",
}


def load(run, typed, kind, names):
    """Return what became of the values: type and value, or who refused it; those that are refused are searched for."""
    try:
        run(SOURCE, typed.spec(), address=f"custom://Shop?{kind}={','.join(names)}")
    except NilusError as refusal:
        if len(names) == 1:
            return {names[0]: f"refused ({type(refusal).__name__})"}
        half = len(names) // 2
        return load(run, typed, kind, names[:half]) | load(run, typed, kind, names[half:])
    columns, (full, empty) = typed.content(f"{kind}_{names[0]}_{len(names)}")
    found = [column for column in columns if column != "id"]
    assert {empty.get(column) for column in found} <= typed.nulls, empty
    return {column: (columns[column], full.get(column)) for column in found}


def cell(found):
    if found is None:
        return "no column"
    if isinstance(found, str):
        return found
    kind, value = found
    if isinstance(value, memoryview):
        value = bytes(value)
    if isinstance(value, datetime):
        shown = value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    else:
        shown = repr(value) if isinstance(value, str | bytes | dict | list | float) else str(value)
    return f"{kind}: `{shown}`" if value is not None else f"{kind}: null".removeprefix(": ")


def test_what_each_sink_does_with_each_type(run_types, typed):
    found = {}
    for kind in ("rows", "table"):
        found[kind] = load(run_types, typed, kind, TOGETHER)
        for name in ALONE:
            found[kind] |= load(run_types, typed, kind, [name])
    lines = [[WRITTEN[name], *(cell(found[kind].get(name)) for kind in found)] for name in [*TOGETHER, *ALONE]]
    documented_table.compare("types.md", f"types in {typed.name}", ["value", "in a dict", "in an Arrow table"], lines)


def test_every_value_is_in_the_table():
    assert [*TOGETHER, *ALONE] == list(WRITTEN)
