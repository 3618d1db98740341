"""Only commits that somebody trusted has signed: with git's own verification, and no other keys than those given."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment_fixture import Deployment
from git_fixture import GitRepository

from airflow_provider_nilus.hooks.custom_source import NilusHook
from nilus.errors import RepositoryError
from nilus.repository import Checkout, Settings, TrustedKeys
from nilus.workflow.models import Repo

Get = Callable[..., Checkout]

NOT_SIGNED = "not signed by anyone this deployment trusts"


@dataclasses.dataclass
class Signer:
    """Somebody who signs commits. `keys` is what others need to trust them."""

    options: list[str]
    environ: dict[str, str]
    keys: TrustedKeys

    def commit(self, repository: GitRepository, files: dict[str, str]) -> str:
        repository.write(files)
        repository.git("add", "--all")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environ.items():
                patch.setenv(name, value)
            repository.git(*self.options, "commit", "--quiet", "--message", "signed", "--gpg-sign")
        return repository.head


@pytest.fixture
def ssh_signer(keygen: Callable[..., Path]) -> Callable[..., Signer]:
    """`ssh_signer(name, options="")`: the options are those of an allowed-signers line."""

    def make(name: str, options: str = "") -> Signer:
        key = keygen(name)
        public = key.with_suffix(".pub").read_text().strip()
        return Signer(
            ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"],
            {},
            TrustedKeys(allowed_signers=f"ada@example.test {options} {public}", origin="the test"),
        )

    return make


@pytest.fixture
def openpgp_signer() -> Iterator[Callable[..., Signer]]:
    """`openpgp_signer(name, now=None)`: with `now` (`20200101T000000`) a key of that time, which lasts a year."""
    if shutil.which("gpg") is None:
        pytest.skip("MISSING: GnuPG (Debian: apt-get install gnupg)")
    # Its sockets do not fit into a long path.
    homes = [Path(tempfile.mkdtemp(prefix="gpg-"))]

    def run(home: Path, *arguments: str) -> str:
        command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def make(name: str, now: str | None = None) -> Signer:
        home = homes[0] / name
        home.mkdir(mode=0o700)
        time = ["--faked-system-time", now] if now else []
        run(home, *time, "--quick-gen-key", f"{name}@example.test", "ed25519", "sign", "1y" if now else "never")
        program = home / "program"
        program.write_text(f'#!/bin/sh\nexec gpg {" ".join(time)} "$@"\n')
        program.chmod(0o700)
        return Signer(
            ["-c", f"gpg.program={program}", "-c", f"user.signingKey={name}@example.test"],
            {"GNUPGHOME": str(home)},
            TrustedKeys(openpgp=run(home, "--export", "--armor"), origin="the test"),
        )

    yield make
    for home in homes[0].iterdir():
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(homes[0], ignore_errors=True)


@pytest.fixture
def signer(request: pytest.FixtureRequest) -> Callable[..., Signer]:
    made: Callable[..., Signer] = request.getfixturevalue(f"{request.param}_signer")
    return made


each_kind = pytest.mark.parametrize("signer", ["ssh", "openpgp"], indirect=True)


def trusting(settings: Settings, keys: TrustedKeys) -> Settings:
    return dataclasses.replace(settings, trusted_keys=keys)


def refused(get: Get, settings: Settings, keys: TrustedKeys, url: str, ref: str | None = None) -> RepositoryError:
    with pytest.raises(RepositoryError, match=NOT_SIGNED) as caught:
        get(url, ref, settings=trusting(settings, keys))
    assert not caught.value.retryable
    assert not list(settings.cache_dir.glob("git-v1/*/*/checkout"))
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))
    return caught.value


@each_kind
def test_a_commit_signed_with_a_trusted_key_is_taken(
    origin: GitRepository, get: Get, settings: Settings, signer: Callable[..., Signer]
) -> None:
    ada = signer("ada")
    commit = ada.commit(origin, {"source.py": "signed\n"})

    got = get(origin.url, settings=trusting(settings, ada.keys))

    assert got.commit == commit
    assert sorted(path.name for path in got.path.iterdir()) == ["folder", "source.py"]


@each_kind
def test_a_commit_that_is_not_signed_is_refused(
    origin: GitRepository, get: Get, settings: Settings, signer: Callable[..., Signer]
) -> None:
    ada = signer("ada")
    ada.commit(origin, {"source.py": "signed\n"})
    origin.commit({"source.py": "not signed\n"})

    error = refused(get, settings, ada.keys, origin.url)

    assert error.found == "no signature"
    assert "git commit -S" in error.remedy


@each_kind
def test_a_commit_signed_with_another_key_is_refused(
    origin: GitRepository, get: Get, settings: Settings, signer: Callable[..., Signer]
) -> None:
    ada, eve = signer("ada"), signer("eve")
    eve.commit(origin, {"source.py": "evil\n"})

    assert refused(get, settings, ada.keys, origin.url).found != "no signature"


def test_a_key_of_one_kind_does_not_vouch_for_a_signature_of_the_other(
    origin: GitRepository,
    get: Get,
    settings: Settings,
    ssh_signer: Callable[..., Signer],
    openpgp_signer: Callable[..., Signer],
) -> None:
    ada, eve = ssh_signer("ada"), openpgp_signer("eve")
    eve.commit(origin, {"source.py": "evil\n"})
    refused(get, settings, ada.keys, origin.url)
    ada.commit(origin, {"source.py": "good\n"})
    refused(get, settings, eve.keys, origin.url)

    both = TrustedKeys(allowed_signers=ada.keys.allowed_signers, openpgp=eve.keys.openpgp)
    assert get(origin.url, settings=trusting(settings, both))
    assert get(origin.url, "HEAD", settings=trusting(settings, both)).cached


@each_kind
def test_a_commit_that_was_changed_after_it_was_signed_is_refused(
    origin: GitRepository, get: Get, settings: Settings, signer: Callable[..., Signer], tmp_path: Path
) -> None:
    ada = signer("ada")
    signed = ada.commit(origin, {"source.py": "good\n"})
    origin.commit({"source.py": "evil\n"})
    evil_tree = origin.git("rev-parse", "HEAD^{tree}")
    text = origin.git("cat-file", "commit", signed)
    forged = tmp_path / "forged"
    forged.write_text(text.replace(origin.git("rev-parse", f"{signed}^{{tree}}"), evil_tree) + "\n")
    origin.git("update-ref", "refs/heads/main", origin.git("hash-object", "-t", "commit", "-w", str(forged)))

    refused(get, settings, ada.keys, origin.url)


def test_keys_of_the_machine_and_the_user_do_not_count(
    origin: GitRepository,
    get: Get,
    settings: Settings,
    openpgp_signer: Callable[..., Signer],
    ssh_signer: Callable[..., Signer],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    ada, eve, mallory = openpgp_signer("ada"), openpgp_signer("eve"), ssh_signer("mallory")
    monkeypatch.setenv("GNUPGHOME", eve.environ["GNUPGHOME"])
    allowed = tmp_path / "allowed"
    allowed.write_text(mallory.keys.allowed_signers)
    configuration = tmp_path / "gitconfig"
    configuration.write_text(f'[gpg]\n\tprogram = true\n[gpg "ssh"]\n\tallowedSignersFile = {allowed}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))

    eve.commit(origin, {"source.py": "evil\n"})
    refused(get, settings, ada.keys, origin.url)
    mallory.commit(origin, {"source.py": "evil too\n"})
    refused(get, settings, ada.keys, origin.url)


def test_a_signature_with_an_expired_key_is_refused(
    origin: GitRepository, get: Get, settings: Settings, openpgp_signer: Callable[..., Signer]
) -> None:
    old = openpgp_signer("old", now="20200101T000000")
    old.commit(origin, {"source.py": "old\n"})

    assert "expired" in refused(get, settings, old.keys, origin.url).found


def test_a_key_counts_for_the_time_its_line_allows(
    origin: GitRepository, get: Get, settings: Settings, ssh_signer: Callable[..., Signer]
) -> None:
    """The commits of these tests are of November 2023."""
    late = ssh_signer("late", options='valid-before="20200101"')
    late.commit(origin, {"source.py": "late\n"})

    refused(get, settings, late.keys, origin.url)


@each_kind
def test_other_keys_verify_anew_what_is_in_the_cache(
    git_server: Any, origin: GitRepository, get: Get, settings: Settings, signer: Callable[..., Signer]
) -> None:
    ada, eve = signer("ada"), signer("eve")
    commit = ada.commit(origin, {"source.py": "signed\n"})
    unverified = get(git_server.url(), commit)
    verified = get(git_server.url(), commit, settings=trusting(settings, ada.keys))
    assert not verified.cached
    assert unverified.path != verified.path

    with pytest.raises(RepositoryError, match=NOT_SIGNED):
        get(git_server.url(), commit, settings=trusting(settings, eve.keys))

    git_server.requests.clear()
    assert get(git_server.url(), commit, settings=trusting(settings, ada.keys)).cached
    assert git_server.requests == []


def test_no_keys_at_all_is_an_error() -> None:
    with pytest.raises(RepositoryError, match="the connection holds no keys"):
        TrustedKeys(allowed_signers=" \n", origin="the connection")


def test_keys_that_cannot_be_read_are_an_error_that_says_where_they_are_from(
    origin: GitRepository, get: Get, settings: Settings, openpgp_signer: Callable[..., Signer]
) -> None:
    with pytest.raises(RepositoryError, match="OpenPGP keys of the test cannot be read") as caught:
        get(origin.url, settings=trusting(settings, TrustedKeys(openpgp="no keys", origin="the test")))
    assert not caught.value.retryable


@pytest.mark.parametrize(("program", "package"), [("gpg", "gnupg"), ("ssh-keygen", "openssh-client")])
def test_a_missing_program_is_an_error_that_names_the_package(
    origin: GitRepository,
    get: Get,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    package: str,
) -> None:
    for name in ("git", "env"):
        target = shutil.which(name)
        assert target is not None
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(target)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    keys = TrustedKeys(openpgp="x") if program == "gpg" else TrustedKeys(allowed_signers="x")

    with pytest.raises(RepositoryError, match=f"there is no {program} on this machine") as caught:
        get(origin.url, settings=trusting(settings, keys))
    assert package in caught.value.remedy


def test_a_git_that_knows_no_ssh_signatures_is_an_error_with_both_versions(
    origin: GitRepository,
    get: Get,
    settings: Settings,
    ssh_signer: Callable[..., Signer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada = ssh_signer("ada")
    ada.commit(origin, {"source.py": "signed\n"})
    monkeypatch.setattr("nilus.repository.signatures.check_version", lambda git: (2, 33, 1))

    with pytest.raises(RepositoryError, match="cannot verify SSH signatures") as caught:
        get(origin.url, settings=trusting(settings, ada.keys))
    assert (caught.value.expected, caught.value.found) == ("version 2.34 or newer", "2.33.1")


@each_kind
def test_the_keys_come_out_of_a_connection_the_deployment_names(
    origin: GitRepository,
    deployment: Deployment,
    signer: Callable[..., Signer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada = signer("ada")
    extra = {"allowed_signers": ada.keys.allowed_signers, "openpgp_public_keys": ada.keys.openpgp}
    monkeypatch.setenv("AIRFLOW__NILUS__VERIFY_SIGNATURES", "trusted_keys")
    monkeypatch.setenv("AIRFLOW_CONN_TRUSTED_KEYS", json.dumps({"conn_type": "generic", "extra": extra}))

    with pytest.raises(RepositoryError, match=NOT_SIGNED) as caught:
        NilusHook().materialise(Repo(url=origin.url))
    assert "the Airflow connection 'trusted_keys'" in caught.value.expected

    commit = ada.commit(origin, {"source.py": "signed\n"})
    with NilusHook().materialise(Repo(url=origin.url)) as got:
        assert got.commit == commit


def test_a_connection_that_is_not_there_means_that_nothing_is_run(
    origin: GitRepository, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, airflow_db: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__NILUS__VERIFY_SIGNATURES", "nothing")

    with pytest.raises(RepositoryError, match="There is no Airflow connection 'nothing'") as caught:
        NilusHook().materialise(Repo(url=origin.url))
    assert not caught.value.retryable
    assert not os.path.lexists(deployment.cache)
