"""Over SSH, with a real sshd, through Airflow's `git` connection: keys, passphrases, host keys, ports."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment_fixture import Deployment
from git_fixture import GitRepository
from ssh_server_fixture import SshServer

from airflow_provider_nilus.hooks.custom_source import NilusHook
from nilus.errors import RepositoryError
from nilus.repository import Checkout
from nilus.workflow.models import Repo

CONNECTION = "my_git"
PASSPHRASE = """it's "a" $HOME & 100% p@ss phrase"""

Connect = Callable[..., None]
Materialise = Callable[..., Checkout]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, ssh_server: SshServer) -> Connect:
    """Sets the `git` connection; extras of None are left out."""

    def connect(key: Path | None = None, **extra: Any) -> None:
        given = {"known_hosts_file": str(ssh_server.known_hosts), "private_key": key and key.read_text(), **extra}
        given = {name: value for name, value in given.items() if value is not None}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", json.dumps({"conn_type": "git", "extra": given}))

    return connect


@pytest.fixture
def materialise(deployment: Deployment) -> Iterator[Materialise]:
    """What the hook makes of an address with the connection."""
    made: list[Checkout] = []

    def materialise(url: str, ref: str | None = None, **options: Any) -> Checkout:
        hook = NilusHook(git_conn_id=CONNECTION)
        made.append(hook.materialise(Repo(url=url, ref=ref, **options)))
        return made[-1]

    yield materialise
    for checkout in made:
        checkout.release()


def refused(materialise: Materialise, url: str, words: str, *, retryable: bool = False) -> RepositoryError:
    with pytest.raises(RepositoryError, match=words) as caught:
        materialise(url)
    assert caught.value.retryable is retryable, caught.value
    return caught.value


@pytest.mark.parametrize("ref", ["main", "v1", "behind", None])
def test_a_key_in_the_connection_lets_us_in(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise, ref: str | None
) -> None:
    behind = origin.tag("v1", annotated=True)
    origin.commit({"source.py": "second\n"})
    connect(ssh_server.key())

    got = materialise(ssh_server.url(origin.path), behind if ref == "behind" else ref)

    assert (got.path / "source.py").read_text() == ("first\n" if ref in ("v1", "behind") else "second\n")
    assert "Accepted publickey" in ssh_server.log


def test_a_key_in_a_file_lets_us_in(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    connect(key_file=str(ssh_server.key()))

    assert materialise(ssh_server.url(origin.path)).commit == origin.head


@pytest.mark.parametrize("kept_in", ["private_key", "key_file"])
def test_a_key_with_a_passphrase_lets_us_in(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise, kept_in: str
) -> None:
    key = ssh_server.key(passphrase=PASSPHRASE)
    connect(**{kept_in: key.read_text() if kept_in == "private_key" else str(key)}, private_key_passphrase=PASSPHRASE)

    assert materialise(ssh_server.url(origin.path)).commit == origin.head


def test_a_wrong_passphrase_is_an_error_that_names_connection_and_server_and_is_told_to_nobody(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    connect(ssh_server.key(passphrase=PASSPHRASE), private_key_passphrase="wrong-passphrase")

    error = refused(materialise, ssh_server.url(origin.path), "did not let us in")

    assert f"127.0.0.1:{ssh_server.port}" in error.found
    assert CONNECTION in error.found
    assert "wrong-passphrase" not in str(error)
    assert "method password" not in ssh_server.log


def test_a_passphrase_is_never_offered_as_a_password(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    """A server that does not take the key asks for a password, and ssh would have the same program answer it."""
    key = ssh_server.key(passphrase=PASSPHRASE, authorized=False)
    connect(key, private_key_passphrase=PASSPHRASE)

    refused(materialise, ssh_server.url(origin.path), "did not let us in")

    assert "method publickey" in ssh_server.log
    assert "method password" not in ssh_server.log


def test_the_server_of_the_test_before_would_have_taken_a_password(ssh_server: SshServer, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    answer.write_text("#!/bin/sh\necho a-passphrase\n")
    answer.chmod(0o700)
    environ = {**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":"}
    command = ["ssh", "-F", "/dev/null", "-p", str(ssh_server.port), f"{ssh_server.user}@127.0.0.1", "true"]
    options = ["-o", f"UserKnownHostsFile={ssh_server.known_hosts}", "-o", "NumberOfPasswordPrompts=1"]

    subprocess.run([*command[:1], *options, *command[1:]], env=environ, check=False, timeout=60, capture_output=True)

    assert "method password" in ssh_server.log


def test_a_key_the_server_does_not_know_is_an_error_that_names_connection_and_server_and_no_retry_helps(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    key = ssh_server.key(authorized=False)
    connect(key)

    error = refused(materialise, ssh_server.url(origin.path), "did not let us in")

    assert f"127.0.0.1:{ssh_server.port} was given the credential of the Airflow connection 'my_git'" in error.found
    assert key.read_text().splitlines()[1] not in str(error)


def test_no_key_but_that_of_the_connection_is_offered(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    other = ssh_server.key("other")
    connect(ssh_server.key("mine", authorized=False))
    agent = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    variables = dict(part.split("=", 1) for part in agent.replace("\n", ";").split(";") if "=" in part)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name.strip(), value)
        try:
            subprocess.run(["ssh-add", "-q", str(other)], check=True, stdin=subprocess.DEVNULL)
            refused(materialise, ssh_server.url(origin.path), "did not let us in")
        finally:
            subprocess.run(["ssh-agent", "-k"], check=True, capture_output=True)


def test_a_rotated_key_counts_from_the_next_run_on(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    url = ssh_server.url(origin.path)
    old, new = ssh_server.key("old"), ssh_server.key("new", authorized=False)
    connect(old)
    materialise(url)
    ssh_server.authorize(new)
    origin.commit({"source.py": "second\n"})

    refused(materialise, url, "did not let us in")
    connect(new)

    assert (materialise(url).path / "source.py").read_text() == "second\n"


def test_a_key_that_is_none_is_an_error_no_retry_helps_against(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    connect(private_key="-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n")

    assert "bm90IGEga2V5" not in str(refused(materialise, ssh_server.url(origin.path), "did not let us in"))


def test_a_missing_key_file_is_an_error_no_retry_helps_against(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise, tmp_path: Path
) -> None:
    connect(key_file=str(tmp_path / "nothing"))

    error = refused(materialise, ssh_server.url(origin.path), "did not let us in")
    assert str(tmp_path / "nothing") in error.found


def test_a_host_key_nobody_knows_is_refused_unless_the_connection_says_otherwise(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise, tmp_path: Path
) -> None:
    url, key = ssh_server.url(origin.path), ssh_server.key()
    known_hosts = tmp_path / "known_hosts"
    connect(key, known_hosts_file=str(known_hosts))
    error = refused(materialise, url, "SSH host key is not known")
    assert "known_hosts" in error.remedy
    assert not known_hosts.exists()
    assert "Accepted publickey" not in ssh_server.log

    connect(key, known_hosts_file=str(known_hosts), strict_host_key_checking="accept-new")
    assert materialise(url).commit == origin.head
    assert f"[127.0.0.1]:{ssh_server.port}" in known_hosts.read_text()


@pytest.mark.parametrize("checking", [None, "yes", "ask", "accept-new"])
def test_a_host_key_that_has_changed_is_refused(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise, checking: str | None
) -> None:
    key = ssh_server.key()
    connect(key, strict_host_key_checking=checking)
    url = ssh_server.url(origin.path)
    materialise(url)
    known = (ssh_server.folder / "known_hosts").read_text()
    ssh_server.new_host_key()
    (ssh_server.folder / "known_hosts").write_text(known)

    refused(materialise, url, "SSH host key is not known")


def test_the_port_of_the_connection_is_used_where_the_address_has_none(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    connect(ssh_server.key(), ssh_port=str(ssh_server.port))

    assert materialise(f"{ssh_server.user}@127.0.0.1:{origin.path}").commit == origin.head


def test_a_server_that_speaks_the_old_protocol_is_asked_for_more(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    behind = origin.head
    origin.commit({"source.py": "second\n"})
    ssh_server.start(more="")
    connect(ssh_server.key())

    got = materialise(ssh_server.url(origin.path), behind)

    assert (got.path / "source.py").read_text() == "first\n"


def test_submodules_with_relative_addresses_come_from_the_same_server(
    ssh_server: SshServer,
    origin: GitRepository,
    git_repo: Callable[..., GitRepository],
    connect: Connect,
    materialise: Materialise,
) -> None:
    inner = git_repo({"inner.py": "inner\n"}, name="inner")
    address = os.path.relpath(inner.path, origin.path)
    origin.write({".gitmodules": f'[submodule "inner"]\n\tpath = inner\n\turl = {address}\n'})
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{inner.head},inner")
    origin.git("add", ".gitmodules")
    origin.git("commit", "--quiet", "-m", "a submodule")
    connect(ssh_server.key())

    got = materialise(ssh_server.url(origin.path), submodules="shallow")

    assert (got.path / "inner" / "inner.py").read_text() == "inner\n"


def test_a_repository_that_is_not_there_is_an_error_no_retry_helps_against(
    ssh_server: SshServer, connect: Connect, materialise: Materialise, tmp_path: Path
) -> None:
    connect(ssh_server.key())

    refused(materialise, ssh_server.url(tmp_path / "nothing"), "no such repository")


def test_a_server_that_is_away_is_an_error_a_retry_may_help_against(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise
) -> None:
    connect(ssh_server.key())
    ssh_server.stop()

    refused(materialise, ssh_server.url(origin.path), "no connection", retryable=True)


def test_without_a_connection_an_unknown_host_is_refused(
    ssh_server: SshServer, origin: GitRepository, deployment: Deployment
) -> None:
    with pytest.raises(RepositoryError, match="SSH host key is not known"):
        NilusHook().materialise(Repo(url=ssh_server.url(origin.path)))
    assert "method publickey" not in ssh_server.log


@pytest.mark.parametrize("authorized", [True, False], ids=["success", "failure"])
def test_keys_and_passphrases_are_in_no_file_once_git_is_done(
    ssh_server: SshServer,
    origin: GitRepository,
    connect: Connect,
    materialise: Materialise,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    authorized: bool,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    connect(ssh_server.key(passphrase=PASSPHRASE, authorized=authorized), private_key_passphrase=PASSPHRASE)

    if authorized:
        materialise(ssh_server.url(origin.path))
    else:
        refused(materialise, ssh_server.url(origin.path), "did not let us in")

    assert list(temporary.rglob("*")) == []


def test_what_the_user_of_the_worker_has_configured_for_ssh_is_not_read(
    ssh_server: SshServer, origin: GitRepository, connect: Connect, materialise: Materialise, tmp_path: Path
) -> None:
    """Nor is what the machine has: without our `-F` the client reads both."""
    shim, calls = tmp_path / "bin" / "ssh", tmp_path / "calls"
    shim.parent.mkdir()
    real = subprocess.run(["which", "ssh"], check=True, capture_output=True, text=True).stdout.strip()
    shim.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> '{calls}'\nexec '{real}' \"$@\"\n")
    shim.chmod(0o700)
    connect(ssh_server.key())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
        materialise(ssh_server.url(origin.path))

    lines = calls.read_text().splitlines()
    assert lines
    for line in lines:
        for option in ("-F /dev/null", "BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"):
            assert option in line
