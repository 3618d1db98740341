"""What a failed run says: whose fault it is, where, in whose words, and whether another try can help."""

from __future__ import annotations

import secrets
import socket
from urllib.parse import quote

import pytest

from nilus.errors import DestinationError, SourceError
from nilus.runtime.engine import failures

ORDERS = """
    @nilus.resource(write_disposition="append")
    def orders():
        nilus.current.resource_state()["seen"] = True
        yield [{"id": 1, "v": "x"}, {"id": 99, "v": "y"}]

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            return orders
"""
CHECKED = (
    "CREATE SCHEMA raw",
    "CREATE TABLE raw.orders (id BIGINT CONSTRAINT small CHECK (id < 50), v VARCHAR,"
    " _dlt_load_id VARCHAR NOT NULL, _dlt_id VARCHAR NOT NULL)",
)


def _failing(body, decorator=""):
    return f"""
    import json
    from dataclasses import dataclass

    @nilus.resource{decorator}
    def orders():
{body}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return orders
"""


def test_a_load_job_that_fails_says_it_in_the_destination_s_words(run_source):
    run_source.sink.execute(*CHECKED)
    with pytest.raises(DestinationError, match="A load job of table 'orders' failed") as caught:
        run_source(ORDERS)
    message = {"duckdb": "CHECK constraint failed", "postgres": 'violates check constraint "small"'}
    assert message[run_source.sink.name] in caught.value.message
    assert "Traceback" not in str(caught.value)
    assert not caught.value.retryable
    assert run_source.sink.tables() == {"orders": 0}


def test_the_journal_has_the_load_before_any_row_of_it_can_land(run_source):
    run_source.sink.execute(*CHECKED)
    with pytest.raises(DestinationError):
        run_source(ORDERS)
    assert run_source.sink.rows("SELECT state_key, run_id, swept_at FROM raw._airflow_loads") == [
        ("shop.load", "manual__1", None)
    ]
    assert run_source.sink.rows("SELECT load_id FROM raw._dlt_loads") == []


def test_a_failed_run_leaves_no_state(run_duckdb):
    run_duckdb.sink.execute(*CHECKED)
    with pytest.raises(DestinationError):
        run_duckdb(ORDERS)
    # What the failed load left of its state is of no load that is complete, and a later run does not see it.
    run_duckdb.sink.execute("DROP TABLE raw.orders")
    code = ORDERS.replace('["seen"] = True', '["before"] = dict(nilus.current.resource_state())')
    state = run_duckdb(code).loaded.state
    assert state["shop"]["resources"]["orders"].get("before", {}) == {}


@pytest.mark.parametrize("options", [{}, {"strategy": "merge", "primary_key": ["id"]}], ids=["replace", "merge"])
def test_a_table_that_cannot_be_replaced_or_merged_stays_as_it_was(run_source, options):
    code = _failing('        yield [{"id": 1, "v": "x"}, {"id": 99, "v": "y"}]')
    run_source.sink.execute(*CHECKED, "INSERT INTO raw.orders VALUES (7, 'old', '0', 'a'), (1, 'old', '0', 'b')")
    with pytest.raises(DestinationError, match="A load job of table 'orders' failed"):
        run_source(code, **options)
    assert run_source.sink.rows("SELECT id, v FROM raw.orders ORDER BY id") == [(1, "old"), (7, "old")]


def test_a_column_of_another_type_made_beforehand_fails_with_the_table(run_source):
    run_source.sink.execute(CHECKED[0], CHECKED[1].replace("v VARCHAR", "v DATE"))
    with pytest.raises(DestinationError, match="table 'orders'") as caught:
        run_source(ORDERS)
    assert not caught.value.retryable
    assert any(word in caught.value.message.lower() for word in ("date", "conversion"))


def test_a_resource_that_fails_is_named_with_its_line_and_exception(run_duckdb):
    code = _failing("""
        yield {"id": 1}
        try:
            {}["x"]
        except KeyError:
            raise OSError("shop is closed")
    """)
    with pytest.raises(
        SourceError, match=r"Resource 'orders' failed at shop.py:\d+: OSError: shop is closed"
    ) as caught:
        run_duckdb(code)
    line = int(caught.value.message.partition("shop.py:")[2].partition(":")[0])
    assert "shop is closed" in (run_duckdb.last_checkout / "shop.py").read_text().splitlines()[line - 1]
    assert caught.value.retryable
    assert not run_duckdb.sink.exists("orders")


@pytest.mark.parametrize(
    ("body", "decorator"),
    [
        ('        yield {"id": 1}\n        raise ValueError("in a thread")', "(parallelized=True)"),
        ('        yield json.loads("{")', ""),
    ],
    ids=["in a thread", "in a library"],
)
def test_the_line_is_the_source_s_own_wherever_it_was_raised(run_duckdb, body, decorator):
    with pytest.raises(SourceError, match=r"Resource 'orders' failed at shop\.py:\d+: \w*(Value|Decode)Error"):
        run_duckdb(_failing(body, decorator))


@pytest.mark.parametrize(
    ("body", "decorator", "match"),
    [
        ('        yield {"id": object()}', "", "The rows of table 'orders' cannot be written: TypeError.*serializable"),
        ('        yield {"id": 2**70}', "", "The rows of table 'orders' cannot be written: TypeError.*64-bit"),
        (
            '        yield [{"id": 1}]\n        yield [{"id": "x"}]',
            '(schema_contract={"data_type": "freeze"})',
            "The extracted rows of table 'orders' cannot be normalized: .*freeze",
        ),
    ],
    ids=["no JSON", "too large", "contract"],
)
def test_rows_that_cannot_be_written_are_named_by_their_table(run_duckdb, body, decorator, match):
    with pytest.raises(SourceError, match=match) as caught:
        run_duckdb(_failing(body, decorator))
    assert not caught.value.retryable
    assert not run_duckdb.sink.exists("orders")


def _closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_destination_that_is_down_may_be_tried_again(run_duckdb):
    address = f"postgresql://nilus:topsecret@127.0.0.1:{_closed_port()}/lake"
    with pytest.raises(DestinationError, match=r"cannot be reached or read: .*[Cc]onnection") as caught:
        run_duckdb(ORDERS, sink_address=address)
    assert caught.value.retryable
    assert "topsecret" not in str(caught.value) + "\n".join(run_duckdb.log)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url, secret: url.replace(url.split(":")[2].split("@")[0], secret), "password authentication failed"),
        (
            lambda url, secret: url.rpartition("/")[0].replace("://nilus:", f"://nobody%20here:{secret}") + "/x",
            "failed",
        ),
        (lambda url, secret: url.rpartition("/")[0] + "/no_such_database", "does not exist"),
    ],
    ids=["password", "user", "database"],
)
def test_a_destination_that_refuses_is_not_tried_again_and_no_password_is_shown(run_postgres, change, said):
    secret = "t0p/s%cret@"
    url = change(run_postgres.sink.address, quote(secret, safe=""))
    with pytest.raises(DestinationError, match=said) as caught:
        run_postgres(ORDERS, sink_address=url)
    assert not caught.value.retryable
    text = str(caught.value) + "\n".join(run_postgres.log)
    password = run_postgres.sink.address.split(":")[2].split("@")[0]
    assert not [word for word in (secret, quote(secret, safe=""), password) if word in text]


def test_a_user_who_may_make_no_schema_is_told_so_and_loads_into_those_that_were_made_for_it(run_postgres, postgres):
    name = f"loader_{secrets.token_hex(4)}"
    password = "p@:/%?# é"
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    host = run_postgres.sink.address.rpartition("@")[2]
    address = f"postgresql://{name}:{quote(password, safe='')}@{host}"
    try:
        with pytest.raises(DestinationError, match="permission denied") as caught:
            run_postgres(ORDERS, sink_address=address)
        assert not caught.value.retryable
        run_postgres.sink.execute(f"CREATE SCHEMA raw AUTHORIZATION {name}")
        run_postgres.sink.execute(f"CREATE SCHEMA raw_staging AUTHORIZATION {name}")
        outcome = run_postgres(_failing("        yield {'id': 1}"), sink_address=address)
        assert outcome.rows == {"orders": 1}
    finally:
        run_postgres.sink.execute(f"DROP OWNED BY {name} CASCADE")
        postgres.execute(f"DROP ROLE {name}")


def test_no_message_holds_a_secret_of_the_address(tmp_path):
    where = failures.Where(tmp_path, "postgresql://***@h/d", secrets=("p%40ss", "p@ss"))
    with pytest.raises(DestinationError) as caught, failures.explain_failures(where):
        raise RuntimeError("invalid dsn postgresql://u:p%40ss@h/d, password p@ss")
    assert "invalid dsn postgresql://u:***@h/d, password ***" in str(caught.value)
