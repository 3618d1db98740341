"""A catalog server of the tests, after the public description of Iceberg's REST catalog protocol.

It is no product's server: it answers the requests of that protocol for namespaces, tables, commits, configuration and
OAuth2 tokens on a loopback port, and keeps what it is told in pyiceberg's SQL catalog. What a client of it shows is
that the client speaks the protocol; a server's own ways are not shown.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_SEPARATOR = "\x1f"


class CatalogServer:
    """A running server.

    Args:
        properties: of the SQL catalog behind it.
        vended: properties that each table's answer hands to the client, as services hand out storage credentials.

    Attributes:
        url: its address.
        client_id, client_secret: what it gives a token for.
        requests: method and path of every request so far.
        lose_answers: how many of the next commits are done but answered with an error, as by a proxy in between.
    """

    def __init__(self, properties: dict[str, str], vended: dict[str, str] | None = None) -> None:
        from pyiceberg.catalog.sql import SqlCatalog

        self.catalog = SqlCatalog("server", **properties)
        self.vended = vended or {}
        self.client_id, self.client_secret, self.token = (secrets.token_hex(8) for _ in range(3))
        self.requests: list[tuple[str, str]] = []
        self.lose_answers = 0
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                status, answer = server.answer(self.command, self.path, body, self.headers.get("Authorization", ""))
                content = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_HEAD = do_DELETE = _answer

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @contextmanager
    def running(self) -> Iterator[CatalogServer]:
        """Serve for the time of the block."""
        thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()

    def answer(self, method: str, target: str, body: bytes, authorization: str) -> tuple[int, Any]:
        """Return the status and the JSON of the answer to a request."""
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.removeprefix("/v1/").split("/")]
        self.requests.append((method, parts.path))
        if path == ["oauth", "tokens"]:
            return self._token(parse_qs(body.decode()))
        if authorization != f"Bearer {self.token}":
            return _error(401, "NotAuthorizedException", "no token, or not ours")
        try:
            with self.lock:
                return self._dispatch(method, path, json.loads(body) if body else {})
        except Exception as error:
            return _explained(error)

    def _token(self, form: dict[str, list[str]]) -> tuple[int, Any]:
        given = form.get("client_id", [""])[0], form.get("client_secret", [""])[0]
        if given != (self.client_id, self.client_secret):
            return 401, {"error": "invalid_client"}
        return 200, {"access_token": self.token, "token_type": "bearer", "expires_in": 3600}

    def _dispatch(self, method: str, path: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if path == ["config"]:
            return 200, {"defaults": {}, "overrides": {}}
        namespace = tuple(path[1].split(_SEPARATOR)) if len(path) > 1 else ()
        if len(path) == 1:
            return self._namespaces(method, body)
        if len(path) == 2:
            return self._namespace(method, namespace)
        if len(path) == 3 and path[2] == "tables":
            return self._tables(method, namespace, body)
        return self._table(method, (*namespace, path[3]), body)

    def _namespaces(self, method: str, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "POST":
            self.catalog.create_namespace(tuple(body["namespace"]), body.get("properties") or {})
            return 200, {"namespace": body["namespace"], "properties": {}}
        return 200, {"namespaces": [list(name) for name in self.catalog.list_namespaces()]}

    def _namespace(self, method: str, namespace: tuple[str, ...]) -> tuple[int, Any]:
        if method == "DELETE":
            self.catalog.drop_namespace(namespace)
            return 204, None
        return 200, {"namespace": list(namespace), "properties": self.catalog.load_namespace_properties(namespace)}

    def _tables(self, method: str, namespace: tuple[str, ...], body: dict[str, Any]) -> tuple[int, Any]:
        if method == "GET":
            listed = self.catalog.list_tables(namespace)
            return 200, {"identifiers": [{"namespace": list(one[:-1]), "name": one[-1]} for one in listed]}
        from pyiceberg.catalog.rest import CreateTableRequest
        from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
        from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

        wanted = CreateTableRequest.model_validate(
            {"location": None, "partition-spec": None, "write-order": None, **body}
        )
        table = self.catalog.create_table(
            (*namespace, wanted.name),
            wanted.table_schema,
            location=wanted.location,
            partition_spec=wanted.partition_spec or UNPARTITIONED_PARTITION_SPEC,
            sort_order=wanted.write_order or UNSORTED_SORT_ORDER,
            properties=wanted.properties,
        )
        return 200, self._described(table)

    def _table(self, method: str, identifier: tuple[str, ...], body: dict[str, Any]) -> tuple[int, Any]:
        if method == "DELETE":
            self.catalog.drop_table(identifier)
            return 204, None
        table = self.catalog.load_table(identifier)
        if method in ("GET", "HEAD"):
            return 200, self._described(table)
        from pyiceberg.table import CommitTableRequest

        asked = CommitTableRequest.model_validate({**body, "identifier": _identifier(identifier)})
        self.catalog.commit_table(table, asked.requirements, asked.updates)
        if self.lose_answers:
            self.lose_answers -= 1
            return _error(503, "ServiceUnavailable", "the answer was lost")
        return 200, self._described(self.catalog.load_table(identifier))

    def _described(self, table: Any) -> dict[str, Any]:
        metadata = json.loads(table.metadata.model_dump_json())
        return {"metadata-location": table.metadata_location, "metadata": metadata, "config": self.vended}


def _identifier(identifier: tuple[str, ...]) -> dict[str, Any]:
    return {"namespace": list(identifier[:-1]), "name": identifier[-1]}


def _error(status: int, kind: str, message: str) -> tuple[int, Any]:
    return status, {"error": {"message": message, "type": kind, "code": status}}


def _explained(error: Exception) -> tuple[int, Any]:
    from pyiceberg import exceptions

    known = {
        exceptions.NoSuchNamespaceError: (404, "NoSuchNamespaceException"),
        exceptions.NoSuchTableError: (404, "NoSuchTableException"),
        exceptions.NamespaceAlreadyExistsError: (409, "AlreadyExistsException"),
        exceptions.TableAlreadyExistsError: (409, "AlreadyExistsException"),
        exceptions.NamespaceNotEmptyError: (409, "NamespaceNotEmptyException"),
        exceptions.CommitFailedException: (409, "CommitFailedException"),
    }
    for kind, (status, name) in known.items():
        if isinstance(error, kind):
            return _error(status, name, str(error))
    return _error(500, "InternalServerError", f"{type(error).__name__}: {error}")
