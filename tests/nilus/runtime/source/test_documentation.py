"""The examples of the custom source guide, as a repository, found, called and loaded."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nilus.errors import SourceError

EXAMPLES = Path(__file__).parents[4] / "dags_examples" / "sources" / "documentation"


@pytest.fixture
def documentation(make_repository, tmp_path: Path):
    shutil.copytree(EXAMPLES, tmp_path / "checkout", ignore=shutil.ignore_patterns("__pycache__"))
    return make_repository()


@pytest.fixture
def api() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """An HTTP server on a free port: its URL, and the (path, Authorization) of what it was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            body = json.dumps([{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_base_class_and_resource_definition(documentation) -> None:
    loaded = documentation.load("custom://MyCustomSource?param1=value1")
    assert loaded == {"fetch_data": [{"id": 1, "value": "one"}, {"id": 2, "value": "two"}]}


def test_static_source(documentation) -> None:
    assert documentation.load("custom://StaticSource") == {"fetch_random_users": [{"id": 1, "name": "Alice"}]}


def test_api_integration(documentation, api) -> None:
    url, asked = api
    address = f"custom://ApiIntegrationSource?api_url={url}&api_key={{API_KEY}}&endpoint=items"
    loaded = documentation.load(address, environ={"API_KEY": "geheim"})
    assert loaded == {"fetch_api_data": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]}
    assert asked == [("/v1/items", "Bearer geheim")]


def test_uri_parameters(documentation) -> None:
    loaded = documentation.load("custom://UriParameterSource?param1=value1&param2=value2")
    assert loaded == {"fetch_parameters": [{"table": "my_data", "param1": "value1", "param2": "value2"}]}


def test_incremental_state_reads_only_what_is_new(documentation, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "custom://IncrementalStateSource"
    assert documentation.find(address).handles_incrementality is True
    monkeypatch.setenv("DOC_ROWS", "3")
    assert [row["id"] for row in documentation.load(address)["fetch_incremental_data"]] == [1, 2, 3]
    monkeypatch.setenv("DOC_ROWS", "5")
    assert [row["id"] for row in documentation.load(address)["fetch_incremental_data"]] == [1, 2, 3, 4, 5]
    state = documentation.pipeline().state["sources"]["incremental_state_source"]["resources"]
    assert state == {"fetch_incremental_data": {"last_id": 5}}


def test_the_incremental_class_of_the_guide_alone_has_no_entry_point(documentation) -> None:
    with pytest.raises(SourceError, match=r"MyIncrementalSource .* defines neither nilus_source nor dlt_source"):
        documentation.source("custom://MyIncrementalSource")


def test_error_handling(documentation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    loaded = documentation.load("custom://ErrorHandlingSource")
    assert [row["id"] for row in loaded["fetch_data_with_error_handling"]] == [1, 2]
    monkeypatch.setenv("DOC_CONNECTION", "refused")
    with pytest.raises(Exception, match="connection refused"):
        documentation.load("custom://ErrorHandlingSource")
    assert "Error fetching data: connection refused" in caplog.text


def test_pagination(documentation) -> None:
    rows = documentation.load("custom://PaginationSource")["fetch_large_dataset"]
    assert sorted(row["id"] for row in rows) == list(range(2500))
    assert {row["page"] for row in rows} == {1, 2, 3}


def test_multi_resource_replaces_one_table_and_appends_to_the_other(documentation) -> None:
    documentation.load("custom://MultiResourceSource")
    loaded = documentation.load("custom://MultiResourceSource")
    assert {table: len(rows) for table, rows in loaded.items()} == {"users": 2, "activities": 6}


def test_explicit_table_name(documentation) -> None:
    assert list(documentation.load("custom://TableNameSource")) == ["my_table"]


def test_default_table_name_is_the_functions(documentation) -> None:
    assert list(documentation.load("custom://DefaultTableNameSource")) == ["fetch_random_users"]


def test_random_user_source_with_its_absolute_import(make_repository, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "checkout", ignore=shutil.ignore_patterns("__pycache__"))
    repository = make_repository(base_dir="examples/custom_source")
    rows = repository.load("custom://RandomUserSource")["fetch_random_users"]
    assert [row["email"] for row in rows] == [
        "aisha.patel@example.com",
        "rahul.sharma@example.com",
        "neha.reddy@example.com",
    ]
    assert json.loads(rows[0]["name"]) == {"title": "Ms", "first": "Aisha", "last": "Patel"}
    assert repository.source("custom://RandomUserSource").name == "random_user_source"


def test_every_example_has_a_class_that_can_be_addressed(documentation) -> None:
    for file in documentation.base_dir.glob("*.py"):
        if file.name not in ("__init__.py", "utils.py"):
            names = [
                line.split()[1].split("(")[0] for line in file.read_text().splitlines() if line.startswith("class ")
            ]
            assert names, file.name
            assert documentation.find(f"custom://{names[-1]}").file == f"my-custom-sources/{file.name}"
