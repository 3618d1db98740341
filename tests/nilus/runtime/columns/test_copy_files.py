"""Parquet files that PostgreSQL copies: every type of Arrow, tables made before, formats that a workflow names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import postgres_fixture
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_fixture import PipelineRunner
from sql_tables import PostgresTables

from nilus.errors import DestinationError
from nilus.runtime.sinks.databases import copy_stream
from nilus.runtime.sinks.databases.copy_stream import CopyStream

AT = datetime(2026, 7, 1, 12, 30, 0, 123456)
BERLIN = pa.timestamp("us", "Europe/Berlin")
EVERY_TYPE: dict[str, tuple[Any, str, list[Any]]] = {
    "smallest": (pa.array([-128, None, 127], pa.int8()), "smallint", [-128, None, 127]),
    "unsigned": (pa.array([0, None, 2**64 - 1], pa.uint64()), "numeric", [0, None, 2**64 - 1]),
    "bool": (pa.array([True, None, False]), "boolean", [True, None, False]),
    "half": (pa.array([1.5, None, -2.0], pa.float16()), "real", [1.5, None, -2.0]),
    "double": (
        pa.array([float("inf"), float("-inf"), 5e-324]),
        "double precision",
        [float("inf"), float("-inf"), 5e-324],
    ),
    "decimal": (
        pa.array([Decimal("-0.10"), None, Decimal("123456789012345678901234567890.12")], pa.decimal256(60, 2)),
        "numeric",
        [Decimal("-0.10"), None, Decimal("123456789012345678901234567890.12")],
    ),
    "tiny_decimal": (
        pa.array([Decimal("1E-20"), None, Decimal(0)], pa.decimal128(38, 20)),
        "numeric",
        [Decimal("1E-20"), None, Decimal(0)],
    ),
    "text": (pa.array(["", None, 'a"b,\n\\.\n\\N'], pa.large_string()), "text", ["", None, 'a"b,\n\\.\n\\N']),
    "repeated": (pa.array(["x", None, "x"]).dictionary_encode(), "text", ["x", None, "x"]),
    "binary": (pa.array([b"", None, bytes(range(256))]), "bytea", [b"", None, bytes(range(256))]),
    "fixed": (pa.array([b"abc", None, b"\\x0"], pa.binary(3)), "bytea", [b"abc", None, b"\\x0"]),
    "large_binary": (pa.array([b"\0", None, b""], pa.large_binary()), "bytea", [b"\0", None, b""]),
    "no_binary": (pa.array([None, None, None], pa.binary()), "bytea", [None, None, None]),
    "date": (pa.array([date(1, 1, 1), None, date(9999, 12, 31)]), "date", [date(1, 1, 1), None, date(9999, 12, 31)]),
    "day": (pa.array([date(2026, 1, 1), None, None], pa.date64()), "date", [date(2026, 1, 1), None, None]),
    "time": (pa.array([time(1, 2, 3), None, None], pa.time32("s")), "time", [time(1, 2, 3), None, None]),
    "naive": (pa.array([AT, None, AT]), "timestamp", [AT, None, AT]),
    "aware": (
        pa.array([AT.replace(tzinfo=UTC), None, None], BERLIN),
        "timestamptz",
        [AT.replace(tzinfo=UTC), None, None],
    ),
    "nanoseconds": (
        pa.array([1_000_000_001_499, None, 1_000_000_001_501], pa.timestamp("ns")),
        "timestamp",
        [datetime(1970, 1, 1, 0, 16, 40, 1), None, datetime(1970, 1, 1, 0, 16, 40, 2)],
    ),
    "nothing": (pa.nulls(3), "text", [None, None, None]),
}


@pytest.fixture
def cursor(postgres_database: str) -> Iterator[Any]:
    """A cursor of an empty database, in UTC."""
    connection = postgres_fixture.connect(postgres_database)
    connection.autocommit = True
    with connection.cursor() as found:
        found.execute("SET TimeZone = 'UTC'")
        yield found
    connection.close()


def _copied(cursor: Any, path: Path) -> None:
    with CopyStream(str(path)) as stream:
        cursor.copy_expert("COPY t FROM STDIN WITH (FORMAT CSV, NULL '', ENCODING 'utf-8')", stream)


def test_every_type_of_arrow_is_written_as_postgres_reads_it(cursor: Any, tmp_path: Path) -> None:
    columns = ", ".join(f'"{name}" {kind}' for name, (_, kind, _) in EVERY_TYPE.items())
    cursor.execute(f"CREATE TABLE t ({columns})")
    table = pa.table({name: values for name, (values, _, _) in EVERY_TYPE.items()})
    pq.write_table(table, tmp_path / "x.parquet", version="2.6")
    _copied(cursor, tmp_path / "x.parquet")
    cursor.execute("SELECT * FROM t")
    found = list(zip(*cursor.fetchall(), strict=True))
    for values, (name, (_, kind, expected)) in zip(found, EVERY_TYPE.items(), strict=True):
        plain = [bytes(value) if isinstance(value, memoryview) else value for value in values]
        assert plain == expected, f"{name} into {kind}"


@pytest.mark.parametrize("group", [1, 7, 1000])
def test_a_file_is_copied_whole_and_in_order_whatever_its_parts(
    group: int, cursor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_stream, "_PART_ROWS", 3)
    values = [None if number % 5 == 0 else bytes([number % 256]) * (number % 4) for number in range(100)]
    texts = [None if value is None else value.hex() for value in values]
    table = pa.table({"n": range(100), "b": pa.array(values, pa.binary()), "t": texts})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=group)
    cursor.execute("CREATE TABLE t (n int, b bytea, t text)")
    _copied(cursor, tmp_path / "x.parquet")
    cursor.execute("SELECT n, encode(b, 'hex'), t FROM t")
    assert cursor.fetchall() == list(zip(range(100), texts, texts, strict=True))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(2)])
def test_a_slice_of_bytes_is_written_without_what_it_leaves_out(kind: Any) -> None:
    values = [b"ab", None, b"\x00\xff", b"cd", None, b"ef"]
    for start in range(len(values)):
        written = copy_stream._hexadecimal(pa.array(values, kind).slice(start, 3)).to_pylist()
        assert written == [None if one is None else f"\\x{one.hex()}" for one in values[start : start + 3]]


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    pq.write_table(pa.table({"t": ["x" * 50, "y"]}), tmp_path / "x.parquet")
    with CopyStream(str(tmp_path / "x.parquet")) as stream:
        parts = list(iter(lambda: stream.read(7), b""))
        assert stream.read(7) == b""
    assert {len(part) for part in parts[:-1]} == {7}
    assert b"".join(parts) == b'"' + b"x" * 50 + b'"\n"y"\n'


SHOP = """
    from decimal import Decimal

    import pyarrow as pa

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            @nilus.resource
            def orders():
                yield {"id": 1, "v": {"a": [1, None]}, "t": "", "n": Decimal("0.1234567895"), "b": b"x"}

            @nilus.resource
            def frames():
                yield pa.table({"id": [1], "v": [{"a": 1}], "t": [""], "b": [b"x"]})

            return [orders, frames]
"""
TYPES = {"id": "bigint", "v": "jsonb", "t": "character varying", "n": "numeric", "b": "bytea"}


@pytest.fixture
def shop(postgres_database: str) -> PostgresTables:
    """An empty database as a sink."""
    return PostgresTables(postgres_database)


@pytest.mark.parametrize("before", [None, "insert_values", "parquet"])
def test_tables_stay_as_they_are_when_the_format_of_load_files_changes(
    before: str | None, shop: PostgresTables, run_pipeline: PipelineRunner
) -> None:
    first = {} if before is None else {"loader_file_format": before}
    run_pipeline(SHOP, shop.spec(strategy="append", **first), resources=["orders"])
    assert shop.columns("orders") == TYPES
    run_pipeline(SHOP, shop.spec(strategy="append"), resources=["orders"])
    assert shop.columns("orders") == TYPES
    rows = shop.rows("SELECT id, v, t, n, b FROM raw.orders")
    plain = [(*row[:4], bytes(row[4])) for row in rows]
    assert plain == [(1, {"a": [1, None]}, "", Decimal("0.123456790"), b"x")] * 2


@pytest.mark.parametrize("given", [None, "parquet"])
def test_tables_of_arrow_keep_empty_texts_bytes_and_nested_values(
    given: str | None, shop: PostgresTables, run_pipeline: PipelineRunner
) -> None:
    options = {} if given is None else {"loader_file_format": given}
    run_pipeline(SHOP, shop.spec(**options), resources=["frames"])
    assert shop.columns("frames") == {name: kind for name, kind in TYPES.items() if name != "n"}
    ((key, value, text, data),) = shop.rows("SELECT id, v, t, b FROM raw.frames")
    assert (key, value, text, bytes(data)) == (1, {"a": 1}, "", b"x")


def test_a_row_that_the_server_refuses_fails_the_run_once_with_its_words_and_leaves_none_of_its_file(
    shop: PostgresTables, run_pipeline: PipelineRunner
) -> None:
    code = """
    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            @nilus.resource(columns={"v": {"data_type": "text", "precision": 3}})
            def orders():
                yield {"v": "abc"}
                yield {"v": "secret text"}

            return orders
    """
    with pytest.raises(DestinationError, match="value too long for type character varying") as caught:
        run_pipeline(code, shop.spec(strategy="append"))
    assert "table 'orders'" in caught.value.message
    assert not caught.value.retryable
    assert shop.rows("SELECT count(*) FROM raw.orders") == [(0,)]
