"""Which commit a ref means, and what is said when it means none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.git import refs
from nilus.repository import Checkout

Get = Callable[..., Checkout]


def test_no_ref_means_the_default_branch(origin: GitRepository, get: Get) -> None:
    origin.branch("other")
    origin.commit({"source.py": "other\n"})
    origin.git("symbolic-ref", "HEAD", "refs/heads/main")

    got = get(origin.url)

    assert (got.ref, got.ref_name) == ("HEAD", "refs/heads/main")
    assert got.commit == origin.git("rev-parse", "main")


def test_a_branch_is_found(origin: GitRepository, get: Get) -> None:
    origin.branch("feature/x")
    commit = origin.commit({"source.py": "second\n"})

    got = get(origin.url, "feature/x")

    assert (got.ref_name, got.commit) == ("refs/heads/feature/x", commit)
    assert (got.path / "source.py").read_text() == "second\n"


def test_a_lightweight_tag_is_found(origin: GitRepository, get: Get) -> None:
    commit = origin.tag("v1")
    origin.commit({"source.py": "second\n"})

    got = get(origin.url, "v1")

    assert (got.ref_name, got.commit) == ("refs/tags/v1", commit)
    assert (got.path / "source.py").read_text() == "first\n"


def test_an_annotated_tag_means_the_commit_it_names(origin: GitRepository, get: Get) -> None:
    commit = origin.tag("v1", annotated=True)

    assert get(origin.url, "v1").commit == commit
    assert get(origin.url, "refs/tags/v1").commit == commit
    assert origin.git("rev-parse", "v1") != commit


def test_a_full_ref_is_found_also_outside_of_branches_and_tags(origin: GitRepository, get: Get) -> None:
    commit = origin.commit({"source.py": "proposed\n"})
    origin.git("update-ref", "refs/pull/7/head", commit)
    origin.git("reset", "--quiet", "--hard", "HEAD~1")

    got = get(origin.url, "refs/pull/7/head")

    assert (got.ref_name, got.commit) == ("refs/pull/7/head", commit)


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_a_full_hash_is_found_at_the_tip_and_behind_it(
    origin: GitRepository, get: Get, spelling: Callable[[str], str]
) -> None:
    first = origin.head
    tip = origin.commit({"source.py": "second\n"})

    assert get(origin.url, spelling(tip)).commit == tip
    behind = get(origin.url, spelling(first))
    assert (behind.ref_name, behind.commit) == (None, first)
    assert (behind.path / "source.py").read_text() == "first\n"


def test_a_name_that_looks_like_a_hash_is_a_name(origin: GitRepository, get: Get) -> None:
    commit = origin.tag("20240101")

    assert get(origin.url, "20240101").commit == commit


def test_a_short_hash_is_refused_with_the_remedy(origin: GitRepository, get: Get) -> None:
    with pytest.raises(RepositoryError, match="all of its 40 digits") as caught:
        get(origin.url, origin.head[:10])
    assert not caught.value.retryable


def test_a_name_that_is_a_branch_and_a_tag_is_refused_and_both_full_names_work(origin: GitRepository, get: Get) -> None:
    first = origin.tag("same")
    origin.branch("same", switch=False)
    origin.git("checkout", "--quiet", "refs/heads/same")
    second = origin.commit({"source.py": "second\n"})
    origin.git("update-ref", "refs/heads/same", second)

    with pytest.raises(RepositoryError, match="branch and of a tag") as caught:
        get(origin.url, "same")

    assert f"refs/heads/same at {second}" in caught.value.found
    assert f"refs/tags/same at {first}" in caught.value.found
    assert get(origin.url, "refs/heads/same").commit == second
    assert get(origin.url, "refs/tags/same").commit == first


def test_an_unknown_ref_lists_the_nearest_names(origin: GitRepository, get: Get) -> None:
    origin.branch("release-2024", switch=False)
    origin.tag("v1.0", annotated=True)

    with pytest.raises(RepositoryError, match="no branch or tag named relaese-2024") as caught:
        get(origin.url, "relaese-2024")

    assert caught.value.found.startswith("near it: release-2024")
    assert not caught.value.retryable


def test_a_remote_tracking_name_leads_to_the_branch(origin: GitRepository, get: Get) -> None:
    with pytest.raises(RepositoryError) as caught:
        get(origin.url, "origin/main")
    assert "near it: main" in caught.value.found


def test_a_hash_nobody_has_is_an_error_and_no_retry_helps(origin: GitRepository, get: Get) -> None:
    with pytest.raises(RepositoryError, match="has no commit 0123456789") as caught:
        get(origin.url, "0123456789" * 4)
    assert not caught.value.retryable


def test_the_hash_of_a_tag_is_refused_and_the_commit_named(origin: GitRepository, get: Get) -> None:
    commit = origin.tag("v1", annotated=True)

    with pytest.raises(RepositoryError, match="is not a commit") as caught:
        get(origin.url, origin.git("rev-parse", "v1"))
    assert commit in caught.value.remedy


def test_an_empty_repository_is_said_to_be_empty(git_repo: Callable[..., GitRepository], get: Get) -> None:
    with pytest.raises(RepositoryError, match="is empty"):
        get(git_repo().url)


def test_a_default_branch_that_does_not_exist_is_an_error_that_lists_the_others(
    origin: GitRepository, get: Get
) -> None:
    origin.git("symbolic-ref", "HEAD", "refs/heads/gone")

    with pytest.raises(RepositoryError, match="default branch") as caught:
        get(origin.url)
    assert "main" in caught.value.found


def test_a_moved_branch_is_a_new_checkout_and_the_old_one_stays(origin: GitRepository, get: Get) -> None:
    old = get(origin.url, "main")
    commit = origin.commit({"source.py": "second\n"})

    new = get(origin.url, "main")

    assert new.commit == commit
    assert (old.path / "source.py").read_text() == "first\n"
    assert (new.path / "source.py").read_text() == "second\n"


def test_a_force_pushed_branch_is_followed(origin: GitRepository, get: Get) -> None:
    get(origin.url, "main")
    origin.git("commit", "--quiet", "--amend", "-m", "rewritten", "--allow-empty")
    origin.write({"source.py": "rewritten\n"})
    origin.git("commit", "--quiet", "--amend", "--all", "--no-edit")

    got = get(origin.url, "main")

    assert got.commit == origin.head
    assert (got.path / "source.py").read_text() == "rewritten\n"


def test_a_repository_with_sha256_hashes_works(
    git_repo: Callable[..., GitRepository], tmp_path: Path, get: Get
) -> None:
    origin = GitRepository(tmp_path / "long-hashes")
    origin.path.mkdir()
    origin.git("init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    commit = origin.commit({"source.py": "first\n"})

    got = get(origin.url)

    assert len(got.commit) == 64
    assert got.commit == commit
    assert get(origin.url, commit).cached


BAD_REFS = [
    "",
    "-",
    "--upload-pack=touch /tmp/x",
    "--exec=sh",
    "main\n",
    "main\0",
    "a b",
    "a..b",
    "a~1",
    "a^{}",
    "a:b",
    "+refs/heads/*:refs/heads/*",
    "refs/heads/*",
    "a?",
    "a[b",
    "a\\b",
    "@",
    "a@{1}",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a.",
    "a\u202eb",
    "x" * 2000,
]


@pytest.mark.parametrize("ref", BAD_REFS)
def test_what_is_no_name_is_refused_before_git_is_asked(ref: str, get: Get, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(RepositoryError, match="ref of the repository is refused"):
        get("https://example.com/sources", ref)


@pytest.mark.parametrize("ref", [ref for ref in BAD_REFS if ref and "\0" not in ref and len(ref) < 2000])
def test_our_rules_are_no_laxer_than_gits(ref: str, origin: GitRepository) -> None:
    refused_by_git = True
    try:
        origin.git("check-ref-format", f"refs/heads/{ref}")
    except AssertionError:
        pass
    else:
        refused_by_git = False
    assert not refs.is_well_formed(ref)
    # git itself allows these three as a part of a longer name.
    assert refused_by_git or ref.startswith("-") or ref == "@" or "\u202e" in ref


@pytest.mark.parametrize("ref", ["main", "feature/x", "v1.0-rc.1", "a@b", "@a", "größe", "refs/pull/1/head", "#1"])
def test_names_git_allows_are_allowed(ref: str, origin: GitRepository, get: Get) -> None:
    origin.git("check-ref-format", f"refs/heads/{ref}")
    name = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    origin.git("update-ref", name, origin.head)

    assert get(origin.url, ref).commit == origin.head
