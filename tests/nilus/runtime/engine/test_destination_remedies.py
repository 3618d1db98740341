"""What a destination says leads to what to do about it, not to *is it up*."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nilus.errors import DestinationError
from nilus.runtime.engine.failures import Where, explain_failures


def _failure(do: Callable[[], object], refusals: tuple[str, ...] = ()) -> DestinationError:
    where = Where(checkout=Path("/nowhere"), destination="the lake", refusals=refusals)
    with pytest.raises(DestinationError) as caught, explain_failures(where):
        do()
    return caught.value


def _raise(error: Exception) -> None:
    raise error


def _list_buckets(endpoint: str) -> None:
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    config = Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=5)
    boto3.client("s3", endpoint_url=endpoint, config=config, **keys).list_buckets()


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """The address of a server whose certificate nobody has signed but itself."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    arguments = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command = ["openssl", "req", "-x509", *arguments, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def test_an_untrusted_certificate_asks_for_its_authority(untrusted: str) -> None:
    error = _failure(lambda: _list_buckets(untrusted))
    assert "SSL_CERT_FILE" in error.remedy
    assert not error.retryable


def test_an_endpoint_without_a_scheme_asks_for_it() -> None:
    error = _failure(lambda: _list_buckets("127.0.0.1:9000"))
    assert "https://host:port" in error.remedy
    assert not error.retryable


@pytest.mark.parametrize(
    "said",
    [
        "An error occurred (ExpiredToken) when calling the PutObject operation: The provided token has expired.",
        "The security token included in the request is expired: token is expired",
    ],
)
def test_an_expired_token_asks_for_another_one_which_the_next_try_may_have(said: str) -> None:
    error = _failure(lambda: _raise(RuntimeError(said)))
    assert "expired" in error.remedy
    assert error.retryable


def test_what_is_not_known_may_be_tried_again_unless_the_sink_refuses() -> None:
    assert "is up" in _failure(lambda: _raise(ConnectionError("connection refused"))).remedy
    refused = _failure(lambda: _raise(RuntimeError("Access Denied")), refusals=("access ?denied",))
    assert "another try meets the same" in refused.remedy
    assert not refused.retryable
