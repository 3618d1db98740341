"""Wheels and source archives made by the tests, and an index that serves them over HTTP and can misbehave."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Files = Mapping[str, str | bytes]

# A build backend in one file, so that building needs nothing from an index.
BACKEND = """
import base64, hashlib, os, zipfile

NAME, VERSION = {name!r}, {version!r}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    {body}
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        archive.writestr(f"{{NAME}}/__init__.py", "built = True\\n")
        archive.writestr(f"{{info}}/METADATA", f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n")
        archive.writestr(
            f"{{info}}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        )
        names = [f"{{NAME}}/__init__.py", f"{{info}}/METADATA", f"{{info}}/WHEEL", f"{{info}}/RECORD"]
        archive.writestr(f"{{info}}/RECORD", "".join(f"{{name}},,\\n" for name in names))
    return wheel
"""


def wheel(
    name: str,
    version: str,
    files: Files | None = None,
    *,
    requires: Iterable[str] = (),
    extras: Iterable[str] = (),
    requires_python: str | None = None,
    entry_points: str = "",
    tag: str = "py3-none-any",
) -> tuple[str, bytes]:
    """Return a wheel's file name and content; without `files` it holds a package of its own name."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    metadata += [f"Provides-Extra: {extra}\n" for extra in extras]
    metadata += [f"Requires-Dist: {requirement}\n" for requirement in requires]
    if requires_python:
        metadata.append(f"Requires-Python: {requires_python}\n")
    content: dict[str, str | bytes] = dict(
        files if files is not None else {f"{module}/__init__.py": f"version = {version!r}\n"}
    )
    content[f"{info}/METADATA"] = "".join(metadata)
    content[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {str(tag.endswith('any')).lower()}\nTag: {tag}\n"
    )
    if entry_points:
        content[f"{info}/entry_points.txt"] = entry_points
    record = ""
    for path, data in content.items():
        raw = data.encode() if isinstance(data, str) else data
        digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(raw)}\n"
    content[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), data)
    return f"{module}-{version}-{tag}.whl", buffer.getvalue()


def source_archive(name: str, version: str, *, body: str = "pass", requires: Iterable[str] = ()) -> tuple[str, bytes]:
    """Return a source archive's file name and content; its build runs `body` first."""
    project = "".join(f"{requirement!r}, " for requirement in requires)
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = [{project}]\n',
        "backend.py": BACKEND.format(name=name.replace("-", "_"), version=version, body=body),
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {requirement}\n" for requirement in requires),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return f"{name}-{version}.tar.gz", buffer.getvalue()


@dataclass
class PackageIndex:
    """A simple index. `requests` are the paths asked for; `login` closes it; `status` and `hold` let it misbehave.

    With `holding` set, `hold` keeps the answer to a file back until it is set itself.
    """

    port: int = 0
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    login: tuple[str, str] | None = None
    status: int | None = None
    hold: threading.Event | None = None
    holding: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple"

    def with_login(self, user: str, password: str) -> str:
        return f"http://{user}:{password}@127.0.0.1:{self.port}/simple"

    def file_url(self, name: str, file: str) -> str:
        return f"http://127.0.0.1:{self.port}/files/{name}/{file}"

    def add(self, made: tuple[str, bytes]) -> str:
        """Offer a file; return its sha256."""
        file, content = made
        name = file.rpartition("-")[0] if file.endswith(".tar.gz") else file.partition("-")[0]
        self.files.setdefault(name.replace("_", "-").lower(), {})[file] = content
        return hashlib.sha256(content).hexdigest()

    def remove(self, file: str) -> None:
        for found in self.files.values():
            found.pop(file, None)

    def count(self, part: str) -> int:
        with self.lock:
            return sum(part in path for path in self.requests)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        parts = path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2 and parts[1] in self.files:
            return 200, "text/html", self._page(parts[1])
        if parts[0] == "files" and len(parts) == 3 and parts[2] in self.files.get(parts[1], {}):
            if self.hold is not None:
                self.holding.set()
                self.hold.wait(60)
            return 200, "application/octet-stream", self.files[parts[1]][parts[2]]
        return 404, "text/plain", b"there is no such page\n"

    def _page(self, name: str) -> bytes:
        links = "".join(
            f'<a href="/files/{name}/{html.escape(file)}#sha256={hashlib.sha256(content).hexdigest()}">{file}</a>\n'
            for file, content in self.files[name].items()
        )
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: PackageIndex

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        state = self.state
        given = self.headers.get("Authorization", "")
        with state.lock:
            state.requests.append(f"{self.command} {self.path}")
            state.authorizations.append(given)
        status, kind, content = self._content(given)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.end_headers()
            if body:
                self.wfile.write(content)

    def _content(self, given: str) -> tuple[int, str, bytes]:
        state = self.state
        if state.login is not None:
            expected = base64.b64encode(":".join(state.login).encode()).decode()
            if given != f"Basic {expected}":
                return 401, "text/plain", b"who are you\n"
        if state.status is not None:
            return state.status, "text/plain", b"out of order\n"
        return state.answer(self.path.partition("?")[0])


@contextlib.contextmanager
def running() -> Iterator[PackageIndex]:
    """Serve an empty index on a free loopback port."""
    state = PackageIndex()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
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


def write(folder: Path, made: tuple[str, bytes]) -> Path:
    """Put a made file into a folder; return its path."""
    path = folder / made[0]
    path.write_bytes(made[1])
    return path
