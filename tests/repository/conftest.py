"""Real repositories, and a real git server (`git http-backend`) that can be told to misbehave."""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ssh_server_fixture import keygen, ssh_server

from nilus.repository import Checkout, Settings, checkout

if TYPE_CHECKING:
    from git_fixture import GitRepository

__all__ = ["keygen", "ssh_server"]


@pytest.fixture
def origin(git_repo: Callable[..., GitRepository]) -> GitRepository:
    """A repository named `sources` with one commit on `main`."""
    return git_repo({"source.py": "first\n", "folder/data.txt": "data\n"}, name="sources")


@dataclass
class GitServer:
    """`git http-backend` behind HTTP, for the repositories it is given; counts, and misbehaves on demand.

    `sent` is in bytes. Kinds of requests: `advertise` (GET info/refs), `ls-refs`, `fetch`, `other`.
    """

    port: int = 0
    repositories: dict[str, Path] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0
    login: tuple[str, str] | None = None
    redirect_to: str | None = None
    redirect_kinds: tuple[str, ...] = ("advertise", "ls-refs", "fetch", "other")
    certificate: Path | None = None
    status: int | None = None
    old_protocol: bool = False
    dumb: bool = False
    truncate: bool = False
    hold: threading.Event | None = None
    holding: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, name: str = "sources") -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}/{name}.git"

    def serve(self, origin: GitRepository, name: str = "sources") -> str:
        self.repositories[name] = origin.path
        return self.url(name)

    def count(self, kind: str) -> int:
        with self.lock:
            return sum(request["kind"] == kind for request in self.requests)

    def headers(self, name: str) -> list[str]:
        with self.lock:
            return [request["headers"][name] for request in self.requests if name in request["headers"]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: GitServer

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)

    def _answer(self, body: bytes) -> None:
        state = self.state
        kind = _kind(self.path, body)
        with state.lock:
            state.requests.append({"kind": kind, "path": self.path, "headers": dict(self.headers)})
        if state.redirect_to is not None and kind in state.redirect_kinds:
            self._reply(302, b"", {"Location": state.redirect_to + self.path})
        elif not self._is_let_in():
            self._reply(401, b"who are you\n", {"WWW-Authenticate": 'Basic realm="test"'})
        elif state.status is not None:
            self._reply(state.status, b"out of order\n")
        else:
            if kind == "fetch" and state.hold is not None:
                state.holding.set()
                state.hold.wait(60)
            self._backend(body, kind)

    def _is_let_in(self) -> bool:
        if self.state.login is None:
            return True
        expected = base64.b64encode(":".join(self.state.login).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _backend(self, body: bytes, kind: str) -> None:
        path, _, query = self.path.partition("?")
        name, _, rest = path.strip("/").partition(".git/")
        folder = self.state.repositories.get(name)
        if folder is None:
            self._reply(404, b"no such repository\n")
            return
        if self.state.dumb:
            self._file(folder / ".git" / rest)
            return
        environ = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/.git/{rest}",
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        if not self.state.old_protocol:
            environ["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        done = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        if self.state.truncate and kind == "fetch":
            self._reply(status, content[: len(content) // 2], headers, length=len(content))
            self.close_connection = True
            return
        self._reply(status, content, headers)

    def _file(self, path: Path) -> None:
        if path.is_file():
            self._reply(200, path.read_bytes(), {"Content-Type": "application/octet-stream"})
        else:
            self._reply(404, b"")

    def _reply(
        self, status: int, content: bytes, headers: Mapping[str, str] | None = None, length: int | None = None
    ) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in (headers or {}).items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content)
            with self.state.lock:
                self.state.sent += len(content)


def _kind(path: str, body: bytes) -> str:
    if "/info/refs" in path:
        return "advertise"
    if b"command=ls-refs" in body:
        return "ls-refs"
    if b"command=fetch" in body or b"want " in body:
        return "fetch"
    return "other"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Many clients at once.
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are what some tests want."""


@contextlib.contextmanager
def _running(certificate: Path | None = None) -> Iterator[GitServer]:
    state = GitServer(certificate=certificate)
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        if state.hold is not None:
            state.hold.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def git_server(origin: GitRepository) -> Iterator[GitServer]:
    """A server that has `origin` under the name `sources`."""
    with _running() as state:
        state.serve(origin)
        yield state


@pytest.fixture
def other_server() -> Iterator[GitServer]:
    """A second server, with nothing on it."""
    with _running() as state:
        yield state


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A fresh certificate for 127.0.0.1 that nobody vouches for, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "git.example.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(pem) + private)
    return file


@pytest.fixture
def tls_server(origin: GitRepository, certificate: Path) -> Iterator[GitServer]:
    """The server by https, with `certificate`."""
    with _running(certificate) as state:
        state.serve(origin)
        yield state


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        cache_dir=tmp_path / "cache",
        cache_max_bytes=10**9,
        allowed_protocols=("https", "ssh", "http", "file"),
    )


@pytest.fixture
def get(settings: Settings) -> Iterator[Callable[..., Checkout]]:
    """`checkout` with the settings of the test; what it returned is released at the end."""
    checkouts = []

    def checked_out(url: str, ref: str | None = None, **options: Any) -> Checkout:
        options = {"settings": settings, "timeout": 60.0, **options}
        made = checkout(url, ref, **options)
        checkouts.append(made)
        return made

    yield checked_out
    for made in checkouts:
        made.release()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"did not happen within {seconds} s: {what}"
            time.sleep(0.02)

    return wait


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python processes that run a text, with arguments; ends those that still run."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def read_files() -> Callable[[Path], dict[str, str]]:
    """All files below a folder: path to text."""

    def read(path: Path) -> dict[str, str]:
        files = (file for file in path.rglob("*") if file.is_file())
        return {file.relative_to(path).as_posix(): file.read_text() for file in files}

    return read
