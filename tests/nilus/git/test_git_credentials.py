"""What a caller hands over, and what of it reaches git: by HTTP helper, by SSH command, by Airflow's own hook."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.git import repository_url
from nilus.repository import Checkout, Credentials

Get = Callable[..., Checkout]

URL = repository_url.parse("https://example.com:8443/repo", allowed_protocols=("https",))


def test_nothing_of_it_is_shown() -> None:
    credentials = Credentials(username="my-user", password="my-token", environ={"AIRFLOW_GIT_TOKEN": "other-token"})
    assert "my-" not in repr(credentials)
    assert "other-token" not in str(credentials)


def test_the_configuration_holds_no_secret_and_is_for_one_server() -> None:
    credentials = Credentials(username="my-user", password="my-token")
    configuration = credentials.configuration(URL)

    assert [key for key, _ in configuration] == ["credential.helper", "credential.https://example.com:8443.helper"]
    assert configuration[0][1] == ""
    assert "my-" not in str(configuration)
    assert credentials.variables() == {"NILUS_GIT_USERNAME": "my-user", "NILUS_GIT_PASSWORD": "my-token"}


def test_a_user_without_a_password_configures_nothing() -> None:
    assert Credentials(username="me").configuration(URL) == [("credential.helper", "")]
    assert Credentials(username="me").variables() == {}


@pytest.mark.parametrize("text", ["a\nhost=evil", "a\r", "a\0b"])
@pytest.mark.parametrize("field", ["username", "password"])
def test_a_line_break_is_refused_without_showing_the_value(field: str, text: str) -> None:
    with pytest.raises(RepositoryError, match="line break") as caught:
        Credentials(**{field: f"my-token{text}"})
    assert "my-token" not in str(caught.value)


def test_of_an_environment_only_what_is_about_credentials_is_taken_and_numbered_anew() -> None:
    credentials = Credentials(
        environ={
            "GIT_SSH_COMMAND": "ssh -i key",
            "AIRFLOW_GIT_USER": "user",
            "AIRFLOW_GIT_TOKEN": "token",
            "LD_PRELOAD": "evil.so",
            "GIT_EXEC_PATH": "/evil",
            "GIT_CONFIG_COUNT": "6",
            "GIT_CONFIG_KEY_1": "core.fsmonitor",
            "GIT_CONFIG_VALUE_1": "evil",
            "GIT_CONFIG_KEY_2": "credential.https://example.com:8443.helper",
            "GIT_CONFIG_VALUE_2": "",
            "GIT_CONFIG_KEY_3": "credential.https://example.com:8443.helper",
            "GIT_CONFIG_VALUE_3": "!helper.sh",
            "GIT_CONFIG_KEY_4": "credential.helper",
            "GIT_CONFIG_VALUE_4": "",
            "GIT_CONFIG_KEY_5": "url.https://evil.example/.insteadOf",
            "GIT_CONFIG_VALUE_5": "https://example.com/",
        }
    )

    assert set(credentials.variables()) == {"GIT_SSH_COMMAND", "AIRFLOW_GIT_USER", "AIRFLOW_GIT_TOKEN"}
    assert credentials.configuration(URL) == [
        ("credential.helper", ""),
        ("credential.https://example.com:8443.helper", ""),
        ("credential.https://example.com:8443.helper", "!helper.sh"),
    ]


@pytest.mark.parametrize("count", ["", "x", "-1"])
def test_a_count_that_is_no_number_counts_nothing(count: str) -> None:
    assert Credentials(environ={"GIT_CONFIG_COUNT": count}).configuration(URL) == [("credential.helper", "")]


def test_a_helper_that_would_answer_any_server_is_refused() -> None:
    environ = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": "store"}
    with pytest.raises(RepositoryError, match="any server"):
        Credentials(environ=environ).configuration(URL)


@pytest.fixture
def airflow_git_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A context manager: the environment Airflow's own git hook makes out of a connection."""
    import contextlib

    from airflow.providers.git.hooks.git import GitHook

    @contextlib.contextmanager
    def of(url: str, **connection: Any) -> Any:
        monkeypatch.setenv("AIRFLOW_CONN_GIT_TEST", json.dumps({"conn_type": "git", "host": url, **connection}))
        hook = GitHook("git_test", repo_url=url)
        with hook.configure_hook_env():
            yield dict(hook.env)

    return of


def test_the_environment_of_airflows_git_hook_lets_us_in(
    git_server: Any, get: Get, airflow_git_environment: Callable[..., Any]
) -> None:
    token = "a \"token\" with $signs, 'quotes' and %"
    git_server.login = ("me", token)

    with airflow_git_environment(git_server.url(), login="me", password=token) as environ:
        got = get(git_server.url(), credentials=Credentials(environ=environ))
    assert (got.path / "source.py").read_text() == "first\n"

    with (
        airflow_git_environment(git_server.url(), login="me", password="wrong-token") as environ,
        pytest.raises(RepositoryError, match="did not let us in") as caught,
    ):
        get(git_server.url(), credentials=Credentials(environ=environ))
    assert "wrong-token" not in str(caught.value)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the ssh program: writes down how it was called and runs what it was asked to, here."""
    log = tmp_path / "ssh-calls"
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f"printf '%s\\n' \"$*\" >> {shlex.quote(str(log))}\n"
        f"env | grep -E '^(SSH_|GIT_ASKPASS|HOME)' >> {shlex.quote(str(log))}\n"
        'test -z "$SSH_FAILS" || { echo "git@host: Permission denied (publickey)." >&2; exit 255; }\n'
        'for last; do :; done\nexec sh -c "$last"\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.mark.parametrize("form", ["ssh://git@host.example:2222{path}", "git@host.example:{path}"])
def test_over_ssh_no_configuration_is_read_no_question_asked_and_no_unknown_host_trusted(
    origin: GitRepository, get: Get, ssh: Path, form: str
) -> None:
    got = get(form.format(path=origin.path))

    assert (got.path / "source.py").read_text() == "first\n"
    calls = ssh.read_text()
    assert "-F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes" in calls
    assert "git@host.example" in calls
    assert ("-p 2222" in calls) == ("2222" in form)


def test_over_ssh_airflows_git_hook_brings_key_passphrase_and_options(
    origin: GitRepository, get: Get, ssh: Path, airflow_git_environment: Callable[..., Any]
) -> None:
    url = f"ssh://git@host.example{origin.path}"
    extra = json.dumps(
        {
            "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nthe-private-key\n",
            "private_key_passphrase": "the-passphrase",
            "known_hosts_file": "/etc/known-hosts",
            "strict_host_key_checking": "yes",
            "ssh_port": "2222",
        }
    )

    with airflow_git_environment(url, extra=extra) as environ:
        got = get(url, credentials=Credentials(environ=environ))

    assert (got.path / "source.py").read_text() == "first\n"
    calls = ssh.read_text()
    for option in ("-i ", "IdentitiesOnly=yes", "UserKnownHostsFile=/etc/known-hosts", "-p 2222", "SSH_ASKPASS="):
        assert option in calls
    assert "the-private-key" not in calls
    assert "the-passphrase" not in calls


def test_a_passphrase_is_never_offered_to_an_http_server(
    git_server: Any, get: Get, airflow_git_environment: Callable[..., Any]
) -> None:
    """git takes SSH_ASKPASS for its own questions too, if nothing else is set."""
    git_server.login = ("me", "token")
    extra = json.dumps(
        {"private_key": "key", "private_key_passphrase": "the-passphrase", "strict_host_key_checking": "yes"}
    )

    with (
        airflow_git_environment(git_server.url(), extra=extra) as environ,
        pytest.raises(RepositoryError, match="did not let us in"),
    ):
        get(git_server.url(), credentials=Credentials(environ=environ))
    assert git_server.requests
    assert git_server.headers("Authorization") == []


def test_a_refused_key_is_an_error_no_retry_helps_against(origin: GitRepository, get: Get, ssh: Path) -> None:
    program = ssh.parent / "bin" / "ssh"
    program.write_text("#!/bin/sh\necho 'git@host: Permission denied (publickey).' >&2\nexit 255\n")

    with pytest.raises(RepositoryError, match="did not let us in") as caught:
        get(f"ssh://git@host.example{origin.path}")
    assert not caught.value.retryable


def test_an_unknown_host_key_is_an_error_that_says_so(origin: GitRepository, get: Get, ssh: Path) -> None:
    program = ssh.parent / "bin" / "ssh"
    program.write_text("#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n")

    with pytest.raises(RepositoryError, match="SSH host key is not known") as caught:
        get(f"git@host.example:{origin.path}")
    assert "known_hosts" in caught.value.remedy
    assert not caught.value.retryable
