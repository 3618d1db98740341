"""From the workflow's `repo` to a checkout: which credentials count, where they may go, what the settings say."""

from __future__ import annotations

import base64
import json
import sys
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deployment_fixture import Deployment
from git_fixture import GitRepository

from airflow_provider_nilus.hooks.custom_source import NilusHook
from airflow_provider_nilus.task import repository_access
from airflow_provider_nilus.task.settings import deployment_settings
from nilus.errors import NilusError, RepositoryError, WorkflowError
from nilus.repository import Checkout
from nilus.workflow.models import Repo

USER, TOKEN = "a user", 'it\'s-a "to$ken" with %41 & @'

Materialise = Callable[..., Checkout]
Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Sets an Airflow connection, of type `git` unless told otherwise."""

    def connect(conn_id: str = "my_git", **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "git", **fields}))

    return connect


@pytest.fixture
def materialise(deployment: Deployment) -> Iterator[Materialise]:
    made: list[Checkout] = []

    def materialise(
        url: str,
        ref: str | None = None,
        *,
        git_conn_id: str | None = None,
        source_env: dict[str, str] | None = None,
        expected_commit: str | None = None,
        **repo: Any,
    ) -> Checkout:
        hook = NilusHook(git_conn_id=git_conn_id, source_env=source_env)
        made.append(hook.materialise(Repo(url=url, ref=ref, **repo), expected_commit=expected_commit))
        return made[-1]

    yield materialise
    for checkout in made:
        checkout.release()


@pytest.fixture
def private(git_server: Any) -> Any:
    git_server.login = (USER, TOKEN)
    return git_server


def users(server: Any) -> set[str]:
    """Whom the server was told to let in."""
    texts = (base64.b64decode(header.removeprefix("Basic ")).decode() for header in server.headers("Authorization"))
    return {text.partition(":")[0] for text in texts}


def test_the_connection_comes_first(
    private: Any, materialise: Materialise, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(login=USER, password=TOKEN)
    connect("other", login="other", password="other-token")
    monkeypatch.setenv("GITSYNC_PASSWORD", "worker-token")

    materialise(
        private.url(),
        git_conn_id="my_git",
        source_env={"GITSYNC_USERNAME": "author", "GITSYNC_PASSWORD": "author-token"},
        secret_id="other",
    )
    assert users(private) == {USER}


def test_then_what_the_author_gives_the_source_then_what_the_worker_has(
    private: Any, materialise: Materialise, connect: Connect, monkeypatch: pytest.MonkeyPatch, origin: GitRepository
) -> None:
    connect("other", login="other", password="other-token")
    monkeypatch.setenv("GITSYNC_USERNAME", "worker")
    monkeypatch.setenv("GITSYNC_PASSWORD", "worker-token")
    env = {"GITSYNC_USERNAME": USER, "GITSYNC_PASSWORD": TOKEN}

    materialise(private.url(), source_env=env, secret_id="other")
    assert users(private) == {USER}

    private.requests.clear()
    with pytest.raises(RepositoryError, match="did not let us in") as caught:
        materialise(private.url(), secret_id="other")
    assert users(private) == {"worker"}
    assert "GITSYNC_USERNAME and GITSYNC_PASSWORD" in caught.value.found


def test_then_the_connection_the_document_names(private: Any, materialise: Materialise, connect: Connect) -> None:
    connect("named", login=USER, password=TOKEN)

    assert materialise(private.url(), secret_id="named").commit


def test_then_none(private: Any, materialise: Materialise) -> None:
    with pytest.raises(RepositoryError, match="did not let us in") as caught:
        materialise(private.url())
    assert f"127.0.0.1:{private.port} was given no credential" in caught.value.found


@pytest.mark.parametrize("conn_type", ["git", "generic", "http"])
def test_a_connection_of_another_type_may_hold_user_and_token_too(
    private: Any, materialise: Materialise, connect: Connect, conn_type: str
) -> None:
    connect(conn_type=conn_type, login=USER, password=TOKEN)

    assert materialise(private.url(), git_conn_id="my_git").commit


def test_a_secret_that_was_carried_over_field_by_field_works(
    private: Any, materialise: Materialise, connect: Connect
) -> None:
    connect(conn_type="generic", extra={"GITSYNC_USERNAME": USER, "GITSYNC_PASSWORD": TOKEN})

    assert materialise(private.url(), secret_id="my_git").commit


@pytest.mark.parametrize("way", ["connection", "environment"])
def test_wrong_ones_are_an_error_that_names_them_and_the_server_and_no_retry_helps(
    private: Any, materialise: Materialise, connect: Connect, way: str
) -> None:
    connect(login="somebody", password="wrong-token")
    arguments: dict[str, Any] = {"git_conn_id": "my_git"}
    if way == "environment":
        arguments = {"source_env": {"GITSYNC_USERNAME": "somebody", "GITSYNC_PASSWORD": "wrong-token"}}

    with pytest.raises(RepositoryError, match="did not let us in") as caught:
        materialise(private.url(), **arguments)

    named = "the Airflow connection 'my_git'" if way == "connection" else "GITSYNC_USERNAME and GITSYNC_PASSWORD"
    assert f"127.0.0.1:{private.port} was given the credential of {named}" in caught.value.found
    assert private.url() in caught.value.message
    assert "wrong-token" not in str(caught.value)
    assert not caught.value.retryable


def test_a_connection_without_anything_in_it_is_said_to_have_nothing(
    private: Any, materialise: Materialise, connect: Connect
) -> None:
    connect()

    with pytest.raises(RepositoryError, match="did not let us in") as caught:
        materialise(private.url(), git_conn_id="my_git")
    assert "the Airflow connection 'my_git' has neither password nor token" in caught.value.found


def test_a_rotated_token_counts_from_the_next_run_on(
    private: Any, origin: GitRepository, materialise: Materialise, connect: Connect
) -> None:
    connect(login=USER, password=TOKEN)
    materialise(private.url(), git_conn_id="my_git")
    origin.commit({"source.py": "second\n"})
    private.login = (USER, "rotated")

    with pytest.raises(RepositoryError, match="did not let us in"):
        materialise(private.url(), git_conn_id="my_git")
    connect(login=USER, password="rotated")
    got = materialise(private.url(), git_conn_id="my_git")

    assert (got.path / "source.py").read_text() == "second\n"


@pytest.mark.parametrize(
    "host",
    ["http://127.0.0.1:{port}/other.git", "http://127.0.0.1:{port}", "127.0.0.1", "git@127.0.0.1:org/repo", ""],
)
def test_a_connection_is_used_for_its_own_server(
    private: Any, materialise: Materialise, connect: Connect, host: str
) -> None:
    connect(host=host.format(port=private.port), login=USER, password=TOKEN)

    assert materialise(private.url(), git_conn_id="my_git").commit


@pytest.mark.parametrize(
    "host",
    [
        "https://github.com/org/repo",
        "http://127.0.0.1:1/repo",
        "http://localhost:{port}/repo",
        "github.com",
        "git@github.com:org/repo",
        "https://user:token@github.com:99999/x",
    ],
)
def test_a_connection_is_never_used_for_another_server_than_its_own(
    private: Any, materialise: Materialise, connect: Connect, host: str
) -> None:
    connect(host=host.format(port=private.port), login=USER, password=TOKEN)

    with pytest.raises(RepositoryError, match="'my_git' is for another server") as caught:
        materialise(private.url(), git_conn_id="my_git")

    assert private.requests == []
    assert "token" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("host", ["https://", "https:///org/repo", "/srv/git", "://", "git@", "file:///srv", ":8080"])
def test_a_connection_whose_host_cannot_be_read_is_used_for_no_server(
    private: Any, materialise: Materialise, connect: Connect, host: str
) -> None:
    connect(host=host, login=USER, password=TOKEN)

    with pytest.raises(RepositoryError, match="The host of the Airflow connection 'my_git' cannot be read") as caught:
        materialise(private.url(), git_conn_id="my_git")

    assert private.requests == []
    assert not caught.value.retryable


def test_a_connection_that_is_not_there_is_an_error_no_retry_helps_against(
    private: Any, materialise: Materialise, airflow_db: Path
) -> None:
    with pytest.raises(RepositoryError, match="There is no Airflow connection 'nothing'") as caught:
        materialise(private.url(), git_conn_id="nothing")
    assert "git_conn_id" in caught.value.remedy
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"extra": {"key_file": "/a", "private_key": "the-private-key"}}, "cannot be provided at the same time"),
        ({"extra": {"ssh_port": "many"}}, "many"),
        ({"extra": {"private_key": "x", "strict_host_key_checking": "perhaps"}}, "perhaps"),
        ({"extra": {"github_app_id": "1"}}, "github_installation_id"),
        ({"password": "token", "extra": {"github_app_id": "1", "github_installation_id": "2"}}, "must be empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_connection_airflow_s_git_hook_does_not_take_is_an_error_that_says_why(
    private: Any, materialise: Materialise, connect: Connect, fields: dict[str, Any], words: str
) -> None:
    connect(**fields)

    with pytest.raises(RepositoryError, match="'my_git' cannot be used") as caught:
        materialise(private.url(), git_conn_id="my_git")

    assert words in caught.value.found
    assert "the-private-key" not in str(caught.value)
    assert not caught.value.retryable
    assert private.requests == []


def test_a_cached_hash_needs_no_connection_and_no_server(
    private: Any, origin: GitRepository, materialise: Materialise, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(login=USER, password=TOKEN)
    commit = materialise(private.url(), git_conn_id="my_git").commit
    monkeypatch.delenv("AIRFLOW_CONN_MY_GIT")
    monkeypatch.setenv("PATH", "/nowhere")
    private.requests.clear()

    got = materialise(private.url(), commit, git_conn_id="my_git", expected_commit=commit)

    assert got.cached
    assert (got.path / "source.py").read_text() == "first\n"
    assert private.requests == []


# ---------------------------------------------------------------------------------------------- GitHub Apps


class FakeGitHub:
    """Stands in for the client library of GitHub's API, which gives out tokens; remembers what it was asked."""

    class GithubException(Exception):
        def __init__(self, status: int) -> None:
            super().__init__(f"{status} of the API")
            self.status = status

    def __init__(self, tokens: list[str | Exception]) -> None:
        self.tokens = tokens
        self.asked: list[tuple[str, str, str]] = []
        self.GithubException.__module__ = "github.GithubException"

    def module(self) -> types.ModuleType:
        made = types.ModuleType("github")
        made.Auth = types.SimpleNamespace(AppAuth=lambda app_id, key: (app_id, key))  # type: ignore[attr-defined]
        made.GithubIntegration = self._integration  # type: ignore[attr-defined]
        return made

    def _integration(self, *, auth: tuple[str, str]) -> Any:
        def get_access_token(*, installation_id: str) -> Any:
            self.asked.append((*auth, installation_id))
            token = self.tokens[min(len(self.asked), len(self.tokens)) - 1]
            if isinstance(token, Exception):
                raise token
            return types.SimpleNamespace(token=token, expires_at=datetime.now(UTC) + timedelta(hours=1))

        return types.SimpleNamespace(get_access_token=get_access_token)


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> Callable[..., FakeGitHub]:
    def github(*tokens: str | Exception) -> FakeGitHub:
        fake = FakeGitHub(list(tokens))
        monkeypatch.setitem(sys.modules, "github", fake.module())
        extra = {"github_app_id": "app-1", "github_installation_id": "inst-2", "private_key": "the app's key"}
        connect(extra=extra)
        return fake

    return github


def test_the_fields_of_a_github_app_are_passed_through_and_its_token_lets_us_in(
    git_server: Any, origin: GitRepository, materialise: Materialise, github: Callable[..., FakeGitHub]
) -> None:
    fake = github("first-token", "second-token")
    git_server.login = ("x-access-token", "first-token")

    commit = materialise(git_server.url(), git_conn_id="my_git").commit
    assert fake.asked == [("app-1", "the app's key", "inst-2")]

    git_server.login = ("x-access-token", "second-token")
    origin.commit({"source.py": "second\n"})
    assert materialise(git_server.url(), git_conn_id="my_git").commit != commit
    assert materialise(git_server.url(), commit, git_conn_id="my_git").cached
    assert len(fake.asked) == 2, "a new token for each run that needs one, none for a commit in the cache"


@pytest.mark.parametrize(("status", "retryable"), [(401, False), (404, False), (403, False), (500, True), (None, True)])
def test_a_github_that_gives_no_token_is_an_error_a_retry_helps_against_where_it_can(
    git_server: Any, materialise: Materialise, github: Callable[..., FakeGitHub], status: int | None, retryable: bool
) -> None:
    github(ConnectionError("no route") if status is None else FakeGitHub.GithubException(status))

    with pytest.raises(RepositoryError, match="'my_git' cannot be used") as caught:
        materialise(git_server.url(), git_conn_id="my_git")

    assert caught.value.retryable is retryable
    assert "the app's key" not in str(caught.value)


def test_a_github_app_without_the_client_library_is_an_error_that_names_the_extra(
    git_server: Any,
    materialise: Materialise,
    github: Callable[..., FakeGitHub],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    github("token")
    monkeypatch.setitem(sys.modules, "github", None)

    with pytest.raises(RepositoryError, match="'my_git' cannot be used") as caught:
        materialise(git_server.url(), git_conn_id="my_git")
    assert "apache-airflow-providers-git[github]" in caught.value.found
    assert not caught.value.retryable


@pytest.mark.parametrize("installed", [None, "0.4.2"])
def test_a_github_app_without_the_provider_or_with_one_that_writes_tokens_into_addresses_is_refused(
    git_server: Any,
    materialise: Materialise,
    github: Callable[..., FakeGitHub],
    monkeypatch: pytest.MonkeyPatch,
    installed: str | None,
) -> None:
    fake = github("token")
    monkeypatch.setattr(repository_access, "_git_provider", lambda: installed)

    with pytest.raises(RepositoryError, match="'my_git' cannot be used") as caught:
        materialise(git_server.url(), git_conn_id="my_git")
    assert "apache-airflow-providers-git[github]>=1.0" in caught.value.found
    assert (installed or "nothing") in caught.value.found
    assert fake.asked == []
    assert git_server.requests == []


@pytest.mark.parametrize("conn_type", ["git", "nilus_repository"])
def test_a_token_needs_no_git_provider(
    private: Any, materialise: Materialise, connect: Connect, monkeypatch: pytest.MonkeyPatch, conn_type: str
) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.git.hooks.git", None)
    connect(conn_type=conn_type, login=USER, password=TOKEN)

    assert materialise(private.url(), git_conn_id="my_git").commit


# ------------------------------------------------------------------------------------------------- settings


def test_the_settings_have_defaults_and_are_read_from_airflow_s_configuration(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = deployment_settings()
    assert (before.allowed_repositories, before.require_pinned_commit, before.verify_signatures) == ((), False, "")
    assert before.git_timeout == 120.0

    monkeypatch.setenv("AIRFLOW__NILUS__ALLOWED_REPOSITORIES", "https://a.example/*,\n  git@b.example:**")
    monkeypatch.setenv("AIRFLOW__NILUS__REQUIRE_PINNED_COMMIT", "yes")
    monkeypatch.setenv("AIRFLOW__NILUS__VERIFY_SIGNATURES", " trusted ")
    monkeypatch.setenv("AIRFLOW__NILUS__GIT_TIMEOUT", "2.5")
    monkeypatch.setenv("AIRFLOW__NILUS__CACHE_MAX_BYTES", "17")
    monkeypatch.setenv("AIRFLOW__NILUS__ALLOWED_PROTOCOLS", "HTTPS, file")
    after = deployment_settings()

    assert after.allowed_repositories == ("https://a.example/*", "git@b.example:**")
    assert after.require_pinned_commit is True
    assert (after.verify_signatures, after.git_timeout, after.cache_max_bytes) == ("trusted", 2.5, 17)
    assert after.allowed_protocols == ("https", "file")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CACHE_MAX_BYTES", "10 GB"),
        ("CACHE_MAX_BYTES", "-1"),
        ("REQUIRE_PINNED_COMMIT", "perhaps"),
        ("GIT_TIMEOUT", "0"),
        ("GIT_TIMEOUT", "inf"),
        ("GIT_TIMEOUT", "2 minutes"),
        ("ALLOWED_REPOSITORIES", "https://a.example/*, github.com/org"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_an_error_and_never_the_default(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__NILUS__{name}", value)

    with pytest.raises(NilusError, match=name.lower()) as caught:
        deployment_settings()
    assert isinstance(caught.value, WorkflowError | RepositoryError)
    assert not caught.value.retryable


def test_an_unknown_protocol_in_the_settings_is_an_error(
    git_server: Any, materialise: Materialise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__NILUS__ALLOWED_PROTOCOLS", "https,ext")

    with pytest.raises(RepositoryError, match="allowed_protocols"):
        materialise(git_server.url())


def test_the_timeout_is_the_workflow_s_or_else_the_deployment_s(
    git_server: Any, materialise: Materialise, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setenv("AIRFLOW__NILUS__GIT_TIMEOUT", "2")
    git_server.hold = threading.Event()

    with pytest.raises(RepositoryError, match="within 2 seconds") as caught:
        materialise(git_server.url())
    assert "git_timeout" in caught.value.remedy
    with pytest.raises(RepositoryError, match="within 3 seconds"):
        materialise(git_server.url(), sync_timeout=3)


# -------------------------------------------------------------------------------------------------- testing


def test_git_and_a_repository_can_be_tested_without_fetching(
    private: Any, origin: GitRepository, deployment: Deployment, connect: Connect
) -> None:
    connect(login=USER, password=TOKEN)
    hook = NilusHook(git_conn_id="my_git")

    working, words = hook.check_git()
    assert working
    assert words.startswith("git 2.")
    assert hook.test_repository(Repo(url=private.url(), ref="main")) == (
        True,
        f"{private.url()} answers; refs/heads/main is at {origin.head}",
    )
    assert hook.test_repository(Repo(url=private.url(), ref="0" * 40))[0]
    assert private.count("fetch") == 0
    assert not deployment.cache.exists()


def test_a_test_says_what_is_wrong(
    private: Any, deployment: Deployment, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(login=USER, password="wrong-token")
    hook = NilusHook(git_conn_id="my_git")
    for ref in ("main", "0" * 40):
        working, words = hook.test_repository(Repo(url=private.url(), ref=ref))
        assert not working
        assert "did not let us in" in words
        assert "wrong-token" not in words

    monkeypatch.setenv("PATH", "/nowhere")
    working, words = hook.check_git()
    assert not working
    for name in ("packages.txt", "apt-get install git", "Composer"):
        assert name in words
