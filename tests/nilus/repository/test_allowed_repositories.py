"""Which repositories a deployment runs code from, which commits, and that a run's configuration cannot change it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from deployment_fixture import Deployment
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.git import repository_url
from nilus.repository import Checkout, Settings, allow_list, checkout

Get = Callable[..., Checkout]

EVERY = ("https", "ssh", "http", "file")


def is_allowed(url: str, *patterns: str) -> bool:
    parsed = repository_url.parse(url, allowed_protocols=EVERY)
    try:
        allow_list.check(parsed, patterns)
    except RepositoryError:
        return False
    return True


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("https://github.com/org/*", "https://github.com/org/repo"),
        ("https://github.com/org/*", "https://github.com/org/repo.git"),
        ("https://github.com/org/repo", "https://github.com/org/repo.git/"),
        ("https://github.com/org/repo.git", "https://github.com/org/repo"),
        ("https://GitHub.com/org/repo", "HTTPS://github.COM:443/org/repo"),
        ("https://github.com:443/org/repo", "https://github.com/org/repo"),
        ("https://gitlab.com/org/**", "https://gitlab.com/org/a/b/c"),
        ("https://gitlab.com/**/c", "https://gitlab.com/org/a/b/c"),
        ("https://*.example.com/x", "https://git.example.com/x"),
        ("https://*/org/x", "https://git.example.com/org/x"),
        ("https://example.com/repo-?", "https://example.com/repo-1"),
        ("https://[2001:db8::1]:8443/*", "https://[2001:DB8::1]:8443/repo"),
        ("git@github.com:org/*", "git@github.com:org/repo.git"),
        ("*@github.com:org/*", "me@github.com:org/repo"),
        ("ssh://git@github.com/org/*", "ssh://git@github.com:22/org/repo"),
        ("file:///srv/git/**", "file:///srv/git/a/b"),
        ("/srv/git/*", "/srv/git/a"),
        ("*", "https://anything.example/x"),
        ("**", "git@anything.example:x"),
    ],
)
def test_a_pattern_allows_the_addresses_it_means(pattern: str, url: str) -> None:
    assert is_allowed(url, pattern)
    assert is_allowed(url, "https://nothing.example/x", pattern)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("https://github.com/org/*", "https://github.com/org/deeper/repo"),
        ("https://github.com/org/*", "https://github.com/organisation/repo"),
        ("https://github.com/org/*", "https://github.com/Org/repo"),
        ("https://github.com/org/*", "https://github.com.evil.example/org/repo"),
        ("https://github.com/org/*", "https://evil.example/github.com/org/repo"),
        ("https://github.com/org/*", "http://github.com/org/repo"),
        ("https://github.com/org/*", "https://github.com:8443/org/repo"),
        ("https://github.com/org/*", "git@github.com:org/repo"),
        ("https://github.com/org/re", "https://github.com/org/repo"),
        ("https://github.com/.*", "https://github.com/xx"),
        ("https://*.example.com/x", "https://example.com/x"),
        ("https://*/org/x", "https://git.example.com:8443/org/x"),
        ("https://*/org/x", "https://evil.example/a/org/x"),
        ("https://**.example.com/x", "https://evil.example/.example.com/x"),
        ("git@github.com:org/*", "evil@github.com:org/repo"),
        ("ssh://git@github.com/org/*", "ssh://github.com/org/repo"),
        ("ssh://git@github.com/org/*", "ssh://git@github.com:2222/org/repo"),
        ("file:///srv/git/*", "file:///srv/git/a/b"),
        ("/srv/git/**", "/srv/gitted/a"),
    ],
)
def test_a_pattern_allows_nothing_that_only_looks_like_it(pattern: str, url: str) -> None:
    assert not is_allowed(url, pattern)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/org/%2e%2e/evil",
        "https://example.com/org/%2E%2E%2Fevil",
        "https://example.com/org/..%2fevil",
        "https://example.com/org/%252e%252e/evil",
        "https://example.com/org/x%2f..%2f..%2fevil",
        "https://example.com/org/./../evil",
        "https://example.com/org/..;/evil",
        "git@example.com:org/../evil",
        "/srv/org/../evil",
        "file:///srv/org/%2e%2e/evil",
    ],
)
def test_an_address_cannot_climb_out_of_what_is_allowed(url: str) -> None:
    patterns = ("https://example.com/org/*", "git@example.com:org/**", "file:///srv/org/**")
    if url == "https://example.com/org/..;/evil":
        assert not is_allowed(url, *patterns)
        return
    with pytest.raises(RepositoryError, match="address of the repository is refused"):
        is_allowed(url, *patterns)


def test_without_patterns_every_repository_is_allowed() -> None:
    assert is_allowed("https://example.com/x")


@pytest.mark.parametrize(
    "pattern", ["", "github.com/org/*", "org/*", "ext::*", "https://", "https://host", "https:///x", "*://x/y", "x:y"]
)
def test_what_is_no_pattern_is_an_error_whatever_else_is_in_the_list(pattern: str) -> None:
    with pytest.raises(RepositoryError, match="allowed_repositories"):
        allow_list.check_patterns(["https://example.com/*", pattern])


def test_a_repository_that_is_not_allowed_is_not_asked_for(git_server: Any, get: Get, settings: Settings) -> None:
    strict = Settings(
        cache_dir=settings.cache_dir,
        cache_max_bytes=1,
        allowed_protocols=EVERY,
        allowed_repositories=("https://example.com/data/*",),
    )

    with pytest.raises(RepositoryError, match="does not run code from") as caught:
        get(git_server.url(), settings=strict)

    assert caught.value.found == git_server.url()
    assert not caught.value.retryable
    assert "https://example.com/data/*" in caught.value.expected
    assert "allowed_repositories" in caught.value.remedy
    assert git_server.requests == []
    assert not settings.cache_dir.exists()


def test_a_cached_commit_of_a_repository_that_is_not_allowed_any_more_is_refused(
    git_server: Any, get: Get, settings: Settings
) -> None:
    commit = get(git_server.url()).commit
    strict = Settings(**{**vars(settings), "allowed_repositories": ("https://example.com/*",)})

    with pytest.raises(RepositoryError, match="does not run code from"):
        get(git_server.url(), commit, settings=strict)


def test_only_a_full_hash_is_taken_where_commits_must_be_pinned(
    git_server: Any, origin: GitRepository, get: Get, settings: Settings
) -> None:
    strict = Settings(**{**vars(settings), "require_pinned_commit": True})
    origin.tag("v1")
    for ref in (None, "main", "v1", "refs/tags/v1"):
        with pytest.raises(RepositoryError, match="pinned commits only") as caught:
            get(git_server.url(), ref, settings=strict)
        assert "expected_commit" in caught.value.expected
        assert not caught.value.retryable
    assert git_server.requests == []

    assert get(git_server.url(), origin.head, settings=strict).commit == origin.head
    assert get(git_server.url(), "main", settings=strict, expected_commit=origin.head).commit == origin.head


SOURCE = """
import nilus
from pathlib import Path

Path({ran!r}).touch()

@nilus.resource(write_disposition="append")
def rows():
    yield {{"n": 1}}

class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return rows()
"""


@pytest.fixture
def two_repositories(git_repo: Callable[..., GitRepository], tmp_path: Path) -> dict[str, tuple[GitRepository, Path]]:
    """A good and an evil repository with the same source, and the file each makes when it is run."""
    made = {}
    for name in ("good", "evil"):
        ran = tmp_path / f"{name}-ran"
        made[name] = (git_repo({"shop.py": SOURCE.format(ran=str(ran))}, name=name), ran)
    return made


def dag_of(**arguments: Any) -> Any:
    from airflow.sdk import DAG

    from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

    with DAG("policy", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        NilusCustomSourceOperator(
            task_id="load",
            retries=3,
            source={"address": "custom://Shop", "options": {"source-table": "t"}},
            sink={"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
            **arguments,
        )
    return dag


def test_the_configuration_of_a_run_cannot_have_another_repository_run(
    run_dag: Any, deployment: Deployment, two_repositories: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Templates are rendered first, then the list is asked."""
    (good, good_ran), (evil, evil_ran) = two_repositories["good"], two_repositories["evil"]
    monkeypatch.setenv("AIRFLOW__NILUS__ALLOWED_REPOSITORIES", f"https://example.com/*, {good.path.parent.as_uri()}/*")
    dag = dag_of(repo={"url": "{{ dag_run.conf['url'] }}"})

    refused = run_dag(dag, conf={"url": evil.url})
    assert refused.states == {"load": "failed"}
    assert refused.task("load").try_number == 1
    (error,) = refused.task("load").errors
    assert type(error).__name__ == "AirflowFailException"
    assert f"This deployment does not run code from {evil.url}" in str(error)
    assert not evil_ran.exists()
    assert not deployment.cache.exists()

    assert run_dag(dag, conf={"url": good.url}).states == {"load": "success"}
    assert good_ran.exists()


def test_a_text_out_of_a_run_s_configuration_is_no_workflow_as_a_whole(
    run_dag: Any, deployment: Deployment, two_repositories: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evil, evil_ran) = two_repositories["evil"]
    dag = dag_of(workflow="{{ dag_run.conf['workflow'] }}")

    outcome = run_dag(dag, conf={"workflow": f"repo: {{url: '{evil.url}'}}"})

    assert outcome.states == {"load": "failed"}
    assert "The workflow document is not a mapping" in str(outcome.task("load").errors[0])
    assert not evil_ran.exists()


def test_a_deployment_that_wants_pinned_commits_runs_nothing_else(
    run_dag: Any, deployment: Deployment, two_repositories: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (good, ran) = two_repositories["good"]
    monkeypatch.setenv("AIRFLOW__NILUS__REQUIRE_PINNED_COMMIT", "True")

    outcome = run_dag(dag_of(repo={"url": good.url, "ref": "main"}))
    assert outcome.states == {"load": "failed"}
    assert "pinned commits only" in str(outcome.task("load").errors[0])
    assert not ran.exists()

    assert run_dag(dag_of(repo={"url": good.url, "ref": "main"}, expected_commit=good.head)).states == {
        "load": "success"
    }
    assert ran.exists()


def test_the_list_can_be_used_without_airflow(origin: GitRepository, settings: Settings) -> None:
    allowed = Settings(**{**vars(settings), "allowed_repositories": (f"{origin.path.parent.as_uri()}/*",)})
    with checkout(origin.url, settings=allowed) as got:
        assert got.commit == origin.head
