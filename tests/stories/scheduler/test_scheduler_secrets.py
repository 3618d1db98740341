"""No secret of a run gets into anything that Airflow keeps or shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote, quote_plus

import pytest
from postgres_fixture import connect


def forms(secret: str) -> set[str]:
    """Every form of a secret that is looked for; of one with several lines, each line."""
    data = secret.encode()
    encoded = {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    escaped = {repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    return {*secret.splitlines(), *encoded, *escaped, quote(secret, safe=""), quote(secret), quote_plus(secret)}


def cells(database: str) -> Iterator[tuple[str, str]]:
    """Yield (table and column, text) of everything in a database, pickles and other bytes included."""
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column.name for column in cursor.description]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    text = bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else str(value)
                    yield f"{table}.{name}", text


@pytest.fixture(scope="module")
def careless(airflow):
    """A run whose tasks print, log and raise their secrets; one of them succeeds, one fails."""
    run = airflow.wait("careless", airflow.trigger("careless"), state="failed")
    assert run.states == {"succeeds": "success", "fails": "failed"}
    return run


@pytest.fixture(scope="module")
def kept(airflow, careless):
    """Everything Airflow has kept or shows, as (where, text)."""
    path = f"/dags/careless/dagRuns/{careless.run_id}"
    shown = [f"{path}/taskInstances/{task_id}" for task_id in careless.states]
    shown += [f"{url}/logs/1?full_content=true" for url in shown] + [f"{url}/xcomEntries" for url in shown]
    return [
        *((str(file.relative_to(airflow.home)), file.read_text()) for file in airflow.home.rglob("*.log")),
        *cells(airflow.database),
        *((url, json.dumps(airflow.get(url), ensure_ascii=False)) for url in shown),
    ]


def places(kept, texts: set[str]) -> set[str]:
    return {where for where, text in kept for wanted in texts if wanted in text}


@pytest.mark.parametrize(
    "which",
    [
        "the token in source_env",
        "the key in the source's address",
        "the private key in source_env",
        "the password of the sink's connection",
    ],
)
def test_a_secret_is_in_no_log_in_no_table_and_in_no_answer(kept, shop, which):
    assert places(kept, forms(shop.secrets[which])) == set()


def test_the_search_finds_what_is_there(kept, careless):
    """Logs of tasks and components, the rendered fields, XComs and the answers of the REST API are all searched."""
    rendered = places(kept, {"custom://Careless?shop=1&key=***"})
    assert "rendered_task_instance_fields.rendered_fields" in rendered
    assert f"/dags/careless/dagRuns/{careless.run_id}/taskInstances/fails" in rendered
    assert any(where.startswith("logs/dag_id=careless/") for where in places(kept, {"printed api"}))
    assert "scheduler.log" in places(kept, {careless.run_id})
    assert "xcom.value" in places(kept, {"state_version"})


def test_the_source_had_its_secrets_and_the_sink_its_password(airflow, careless, shop):
    """Said without showing them: the source tells their lengths, and rows are in the sink."""
    lines = [line.event for line in airflow.task_log("careless", careless.run_id, "succeeds")]
    lengths = {
        "api": "the token in source_env",
        "address": "the key in the source's address",
        "private": "the private key in source_env",
    }
    for name, which in lengths.items():
        assert f"{name} has {len(shop.secrets[which])} characters" in lines
    assert airflow.xcom("careless", careless.run_id, "succeeds")["rows"] == {"orders": 1}
