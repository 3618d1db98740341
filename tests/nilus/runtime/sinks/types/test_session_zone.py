"""Points in time in a table made beforehand, whose column has no zone, on a server of another zone."""

from __future__ import annotations

from datetime import datetime

import postgres_fixture

SHOP = """
    import datetime as dt

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            noon = dt.datetime(2024, 1, 31, 12, tzinfo=dt.timezone.utc)
            return nilus.resource([{{"id": {id}, "at": noon}}], name="t", primary_key="id")
"""


def _execute(url, *statements):
    connection = postgres_fixture.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def test_append_and_merge_write_the_time_of_utc_whatever_zone_the_server_has(run_types, postgres_sink):
    address = postgres_sink.spec().address
    name = address.partition("?")[0].rpartition("/")[2]
    _execute(address, f"ALTER DATABASE \"{name}\" SET TimeZone = 'Asia/Kolkata'")
    run_types(SHOP.format(id=1), postgres_sink.spec(strategy="append"))
    table = postgres_sink.table("t")
    _execute(address, f"ALTER TABLE {table} ALTER COLUMN at TYPE timestamp USING at AT TIME ZONE 'UTC'")
    run_types(SHOP.format(id=2), postgres_sink.spec(strategy="append"))
    run_types(SHOP.format(id=3), postgres_sink.spec(strategy="merge"))
    found = postgres_sink.rows(f"SELECT id, at FROM {table} ORDER BY id")
    assert [tuple(row) for row in found] == [(number, datetime(2024, 1, 31, 12)) for number in (1, 2, 3)]
