"""What a table holds after two runs of each strategy, what readers see meanwhile, and what is refused."""

from __future__ import annotations

import threading
import time

import pytest

from nilus.errors import NilusError, WorkflowError

SHOP = """
    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            rows = {rows}
            return nilus.resource(lambda: [rows], name="orders"{options})
"""
FIRST = [{"id": 1, "day": "mon", "v": "a"}, {"id": 2, "day": "tue", "v": "b"}]
SECOND = [{"id": 2, "day": "tue", "v": "B"}, {"id": 3, "day": "tue", "v": "c"}]


def shop(rows, options=""):
    return SHOP.format(rows=repr(rows), options=options)


STRATEGIES = {
    "append": ({}, "1a 2b 2B 3c"),
    "none": ({}, "1a 2b 2B 3c"),
    "replace": ({}, "2B 3c"),
    "merge": ({"primary_key": ["id"]}, "1a 2B 3c"),
    "delete+insert": ({"incremental_key": "day"}, "1a 2B 3c"),
    "scd2": ({}, "2B 3c"),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_runs_leave_what_the_strategy_says(run_strategy, sink, strategy):
    options, expected = STRATEGIES[strategy]
    run_strategy(shop(FIRST), sink.spec(strategy=strategy), **options)
    run_strategy(shop(SECOND), sink.spec(strategy=strategy), **options)
    live = ' WHERE "_dlt_valid_to" IS NULL' if strategy == "scd2" else ""
    found = sink.rows(f"SELECT id, v FROM {sink.table('orders')}{live}")
    assert sorted(f"{number}{v}" for number, v in found) == sorted(expected.split())
    if strategy == "scd2":
        retired = sink.rows(f'SELECT id, v FROM {sink.table("orders")} WHERE "_dlt_valid_to" IS NOT NULL')
        assert sorted(f"{number}{v}" for number, v in retired) == ["1a", "2b"]


def test_a_disposition_of_the_resource_stands_against_every_strategy(run_strategy, sink):
    for rows in (FIRST, SECOND):
        run_strategy(shop(rows, ', write_disposition="append"'), sink.spec(strategy="replace"))
    assert sink.rows(f"SELECT count(*) FROM {sink.table('orders')}") == [(4,)]


@pytest.mark.parametrize(
    ("strategy", "code", "match"),
    [
        ("merge", shop(FIRST), "merge needs a key for resource 'orders'"),
        ("delete+insert", shop(FIRST), r"delete\+insert needs an incremental-key"),
        ("append", shop(FIRST, ', write_disposition={"disposition": "merge", "strategy": "upsert"}'), "primary key"),
    ],
)
def test_a_strategy_that_lacks_its_key_is_refused_before_the_source_is_read(run_strategy, sink, strategy, code, match):
    unread = code.replace("lambda: [rows]", "lambda: 1 / 0")
    with pytest.raises(WorkflowError, match=match):
        run_strategy(unread, sink.spec(strategy=strategy))
    assert sink.tables() == set()


MANY = 20_000


def many(version):
    return shop([]).replace("rows = []", f"rows = [{{'id': number, 'v': {version}}} for number in range({MANY})]")


@pytest.mark.parametrize("strategy", ["replace", "merge"])
def test_a_reader_sees_the_old_rows_or_the_new_ones_and_never_fewer(run_strategy, postgres_tables, strategy):
    options = {"primary_key": ["id"]} if strategy == "merge" else {}
    run_strategy(many(1), postgres_tables.spec(strategy=strategy), **options)
    seen: set[tuple[int, int, int]] = set()
    problems: list[Exception] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                seen.update(
                    postgres_tables.rows(f"SELECT count(*), min(v), max(v) FROM {postgres_tables.table('orders')}")
                )
            except Exception as error:
                problems.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        run_strategy(many(2), postgres_tables.spec(strategy=strategy), **options)
    finally:
        over.set()
        reader.join(60)
    seen.update(postgres_tables.rows(f"SELECT count(*), min(v), max(v) FROM {postgres_tables.table('orders')}"))
    assert not problems
    assert seen == {(MANY, 1, 1), (MANY, 2, 2)}


@pytest.mark.parametrize("strategy", ["replace", "merge"])
def test_a_run_that_is_killed_while_it_replaces_leaves_the_old_rows(run_strategy, postgres_tables, strategy):
    import psycopg2

    options = {"primary_key": ["id"]} if strategy == "merge" else {}
    run_strategy(many(1), postgres_tables.spec(strategy=strategy), **options)
    lock = "ACCESS SHARE" if strategy == "replace" else "SHARE"
    connection = psycopg2.connect(postgres_tables.address)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {postgres_tables.table('orders')} IN {lock} MODE")
        process, _receiver = run_strategy.start(
            run_strategy.job(many(2), postgres_tables.spec(strategy=strategy), **options)
        )
        until = time.monotonic() + 120
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
        while postgres_tables.rows(waiting, postgres_tables.table("orders")) == [(0,)]:
            assert process.is_alive(), "the run ended without waiting for the table"
            assert time.monotonic() < until
            time.sleep(0.05)
        process.kill()
        process.join(30)
    finally:
        connection.close()
    state = f"SELECT count(*), min(v), max(v) FROM {postgres_tables.table('orders')}"
    assert postgres_tables.rows(state) == [(MANY, 1, 1)]
    run_strategy(many(2), postgres_tables.spec(strategy=strategy), **options)
    assert postgres_tables.rows(state) == [(MANY, 2, 2)]


def test_an_unsupported_pair_of_destination_and_strategy_is_refused(monkeypatch, run_strategy, sink):
    """Whoever supports what is dlt's to say; a destination without merges is made of one that has them."""
    from dlt.common.destination.capabilities import DestinationCapabilitiesContext

    from nilus.runtime import sinks, support
    from nilus.runtime.rows.reading.decision import Reading

    job = run_strategy.job(shop(FIRST), sink.spec(strategy="merge"), primary_key=["id"])
    opened = sinks.sink(job.sink)

    class Without:
        @staticmethod
        def capabilities() -> DestinationCapabilitiesContext:
            capabilities = opened.destination().capabilities()
            capabilities.supported_merge_strategies = []
            return capabilities

    import dlt

    source = dlt.source(lambda: dlt.resource([], name="orders", write_disposition="merge"), name="shop")()
    whole = Reading("full", None, None, reads_state=False, keeps_state=False)
    with pytest.raises(NilusError, match="cannot write resource 'orders' by merge") as caught:
        support.refuse_unsupported(job, whole, source, opened, Without())
    assert "append, replace" in caught.value.expected
