"""Submodules: off unless asked for, and then under the same protections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.repository import Checkout, Settings

Get = Callable[..., Checkout]
Read = Callable[[Path], dict[str, str]]


def add(outer: GitRepository, inner: GitRepository, path: str, url: str | None = None) -> None:
    """Record a repository's commit as a submodule, as `git submodule add` does, without its checks."""
    modules = outer.path / ".gitmodules"
    text = modules.read_text() if modules.exists() else ""
    modules.write_text(f'{text}[submodule "{path}"]\n\tpath = {path}\n\turl = {url or inner.url}\n')
    outer.git("add", ".gitmodules")
    outer.git("update-index", "--add", "--cacheinfo", f"160000,{inner.head},{path}")
    outer.git("commit", "--quiet", "-m", "a submodule")
    outer.clock += 1


@pytest.fixture
def nested(origin: GitRepository, git_repo: Callable[..., GitRepository]) -> GitRepository:
    """A repository with a submodule that has one itself."""
    innermost = git_repo({"innermost.py": "innermost\n"}, name="innermost")
    inner = git_repo({"inner.py": "inner\n"}, name="inner")
    add(inner, innermost, "deeper")
    inner_at = inner.head
    add(origin, inner, "libs/inner")
    # The recorded commit is not the tip any more.
    inner.commit({"inner.py": "newer\n"})
    assert inner.head != inner_at
    return origin


def test_they_are_left_out_unless_asked_for(nested: GitRepository, get: Get, read_files: Read) -> None:
    assert set(read_files(get(nested.url).path)) == {"source.py", "folder/data.txt", ".gitmodules"}


def test_shallow_fetches_those_of_the_repository_and_recursive_theirs_too(
    nested: GitRepository, get: Get, read_files: Read
) -> None:
    shallow = get(nested.url, submodules="shallow")
    recursive = get(nested.url, submodules="recursive")

    assert read_files(shallow.path)["libs/inner/inner.py"] == "inner\n"
    assert "libs/inner/deeper/innermost.py" not in read_files(shallow.path)
    assert read_files(recursive.path)["libs/inner/inner.py"] == "inner\n"
    assert read_files(recursive.path)["libs/inner/deeper/innermost.py"] == "innermost\n"
    assert not list(recursive.path.rglob(".git"))
    assert len({get(nested.url).path, shallow.path, recursive.path}) == 3


def test_a_server_that_gives_no_commit_by_its_hash_is_asked_for_the_history(
    nested: GitRepository, git_repo: Callable[..., GitRepository], git_server: Any, get: Get, read_files: Read
) -> None:
    inner = git_repo({"inner.py": "first\n"}, name="other")
    git_server.serve(inner, "other")
    add(nested, inner, "other", url="../other.git")
    inner.commit({"inner.py": "second\n"})
    git_server.old_protocol = True

    got = get(git_server.url(), submodules="shallow")

    assert read_files(got.path)["other/inner.py"] == "first\n"
    assert read_files(got.path)["libs/inner/inner.py"] == "inner\n"


def test_a_file_address_is_refused_where_files_are_not_allowed(
    nested: GitRepository, git_server: Any, get: Get, settings: Settings
) -> None:
    strict = Settings(cache_dir=settings.cache_dir, cache_max_bytes=10**9, allowed_protocols=("https", "http"))

    with pytest.raises(RepositoryError, match=r"\.gitmodules .* is refused") as caught:
        get(git_server.url(), settings=strict, submodules="shallow")
    assert "file" in caught.value.found


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("../outside", ""),
        ("/tmp/outside", ""),
        ("-x", ""),
        (".git/hooks", ""),
        ("a/.GIT/b", ""),
        ("ok", "\turl = ext::sh -c touch% sentinel\n"),
        ("ok", "\turl = --upload-pack=touch sentinel\n"),
        ("ok", "\turl = https://user:secret@example.com/x\n"),
        ("ok", "\tupdate = !touch sentinel\n"),
        ("ok", '\tpath = "ok\r"\n'),
        ("ok", '\tpath = "not closed\n'),
        ("ok", '[submodule "../../x"]\n\tpath = fine\n'),
        ("ok", '[submodule ".git"]\n\tpath = fine\n'),
        ("ok", '[submodule "a\\\\b"]\n\tpath = fine\n'),
    ],
)
def test_a_hostile_list_of_submodules_is_refused_before_git_reads_it(
    origin: GitRepository,
    get: Get,
    path: str,
    extra: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (origin.path / ".gitmodules").write_text(f'[submodule "ok"]\n\tpath = {path}\n\turl = {origin.url}\n{extra}')
    origin.commit()

    with pytest.raises(RepositoryError, match=r"\.gitmodules .* is refused") as caught:
        get(origin.url, submodules="recursive")

    assert "secret" not in str(caught.value)
    assert not caught.value.retryable
    assert not list(tmp_path.rglob("sentinel"))
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))


def test_a_link_in_a_submodule_that_leaves_the_repository_is_refused(
    origin: GitRepository, git_repo: Callable[..., GitRepository], get: Get
) -> None:
    inner = git_repo({"inner.py": ""}, name="inner")
    (inner.path / "out").symlink_to("../../outside")
    inner.commit()
    add(origin, inner, "inner")

    with pytest.raises(RepositoryError, match="leads out of the repository"):
        get(origin.url, submodules="shallow")


def test_a_commit_the_submodule_does_not_have_is_an_error(
    origin: GitRepository, git_repo: Callable[..., GitRepository], get: Get, settings: Settings
) -> None:
    inner = git_repo({"inner.py": ""}, name="inner")
    add(origin, inner, "inner")
    inner.git("commit", "--quiet", "--amend", "-m", "rewritten")
    inner.git("reflog", "expire", "--expire=now", "--all")
    inner.git("gc", "--quiet", "--prune=now")

    with pytest.raises(RepositoryError, match="points to a commit its repository does not have"):
        get(origin.url, submodules="shallow")
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))


def test_an_old_git_is_warned_about(
    nested: GitRepository, get: Get, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nilus.submodules.is_patched", lambda version: False)
    with caplog.at_level(logging.WARNING, "nilus.repository"):
        get(nested.url, submodules="shallow")
    assert "before 2.50.1" in caplog.text


def test_a_repository_without_submodules_is_the_same_with_them_asked_for(
    origin: GitRepository, get: Get, read_files: Read
) -> None:
    assert read_files(get(origin.url, submodules="recursive").path) == read_files(get(origin.url).path)
