"""Real repositories, and servers that have them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git_server_fixture import GitServer, running_git_server
from ssh_server_fixture import keygen, ssh_server

from nilus.repository.fetch import Checkout, Settings, checkout

if TYPE_CHECKING:
    from git_fixture import GitRepository

__all__ = ["keygen", "ssh_server"]


@pytest.fixture
def origin(git_repo: Callable[..., GitRepository]) -> GitRepository:
    """A repository named `sources` with one commit on `main`."""
    return git_repo({"source.py": "first\n", "folder/data.txt": "data\n"}, name="sources")


@pytest.fixture
def git_server(origin: GitRepository) -> Iterator[GitServer]:
    """A server that has `origin` under the name `sources`."""
    with running_git_server() as state:
        state.serve(origin)
        yield state


@pytest.fixture
def other_server() -> Iterator[GitServer]:
    """A second server, with nothing on it."""
    with running_git_server() as state:
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
    with running_git_server(certificate) as state:
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
