"""Submodules: off unless asked for, and then under the same protections."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.repository import Checkout, Credentials, Settings

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
        ("ok\\r", ""),
        ("ok", "\tpath = other\n"),
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


@pytest.mark.parametrize("url", ["../../../../evil.example/x", "../..", "../%2e%2e/x", "../inner\rx"])
def test_a_relative_address_that_climbs_to_another_server_is_refused(
    origin: GitRepository, git_server: Any, get: Get, url: str
) -> None:
    (origin.path / ".gitmodules").write_text(f'[submodule "inner"]\n\tpath = inner\n\turl = "{url}"\n')
    origin.commit()

    with pytest.raises(RepositoryError, match=r"\.gitmodules .* is refused"):
        get(git_server.url(), submodules="shallow")
    assert git_server.count("fetch") == 1


def test_submodules_are_held_to_the_list_of_allowed_repositories(
    origin: GitRepository, git_repo: Callable[..., GitRepository], git_server: Any, get: Get, settings: Settings
) -> None:
    inner = git_repo({"inner.py": "inner\n"}, name="inner")
    git_server.serve(inner, "inner")
    add(origin, inner, "inner", url="../inner.git")
    allowed = dataclasses.replace(settings, allowed_repositories=(git_server.url(),))

    with pytest.raises(RepositoryError, match=r"\.gitmodules .* is refused") as caught:
        get(git_server.url(), settings=allowed, submodules="shallow")
    assert git_server.url("inner") in caught.value.found
    assert not any("inner" in request["path"] for request in git_server.requests)

    allowed = dataclasses.replace(settings, allowed_repositories=(git_server.url("*"),))
    got = get(git_server.url(), settings=allowed, submodules="shallow")
    assert (got.path / "inner" / "inner.py").read_text() == "inner\n"

    # What is in the cache was fetched under another list.
    allowed = dataclasses.replace(settings, allowed_repositories=(git_server.url(),))
    with pytest.raises(RepositoryError, match=r"\.gitmodules .* is refused"):
        get(git_server.url(), got.commit, settings=allowed, submodules="shallow")
    assert get(git_server.url(), got.commit, settings=allowed).commit == got.commit


def test_relative_addresses_count_from_the_repository_that_has_them(
    origin: GitRepository, git_repo: Callable[..., GitRepository], git_server: Any, get: Get, read_files: Read
) -> None:
    innermost, inner = git_repo({"innermost.py": "x"}, name="innermost"), git_repo({"inner.py": "x"}, name="inner")
    git_server.serve(inner, "group/inner")
    git_server.serve(innermost, "group/innermost")
    add(inner, innermost, "deeper", url="./../innermost.git")
    add(origin, inner, "inner", url="../group/inner.git/")

    got = get(git_server.url(), submodules="recursive")

    assert {"inner/inner.py", "inner/deeper/innermost.py"} <= set(read_files(got.path))


@pytest.mark.parametrize("path", ["Libs/inner", "libs/Inner/x"])
def test_a_place_that_is_another_one_where_letter_case_does_not_count_is_refused(
    origin: GitRepository, git_repo: Callable[..., GitRepository], get: Get, path: str
) -> None:
    """A link there would have git write somewhere else, such as hooks into its own folder."""
    inner = git_repo({"inner.py": ""}, name="inner")
    (origin.path / "libs").mkdir()
    (origin.path / "libs" / "inner").symlink_to("../.git/modules")
    origin.commit()
    add(origin, inner, path)

    with pytest.raises(RepositoryError, match=r"\.gitmodules .* is refused") as caught:
        get(origin.url, submodules="shallow")
    assert "letter case" in caught.value.found


@pytest.mark.parametrize("path", ["libs/link", "libs/link/inner"])
def test_a_place_behind_a_link_is_refused(origin: GitRepository, get: Get, path: str) -> None:
    (origin.path / "libs").mkdir()
    (origin.path / "libs" / "link").symlink_to("../folder")
    (origin.path / ".gitmodules").write_text(f'[submodule "inner"]\n\tpath = {path}\n\turl = {origin.url}\n')
    origin.commit()

    with pytest.raises(RepositoryError, match=r"\.gitmodules .* is refused") as caught:
        get(origin.url, submodules="shallow")
    assert "symbolic link" in caught.value.found


def test_a_submodule_with_the_name_of_a_hostile_setting_sets_nothing(
    origin: GitRepository, git_repo: Callable[..., GitRepository], get: Get, tmp_path: Path
) -> None:
    """Names become part of configuration keys: they must not become other keys."""
    sentinel, inner = tmp_path / "it-ran", git_repo({"inner.py": "inner\n"}, name="inner")
    name = f"x.url=y;core.fsmonitor=touch {sentinel};z"
    (origin.path / ".gitmodules").write_text(f'[submodule "{name}"]\n\tpath = inner\n\turl = {inner.url}\n')
    origin.git("add", ".gitmodules")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{inner.head},inner")
    origin.git("commit", "--quiet", "-m", "a submodule")

    got = get(origin.url, submodules="shallow")

    assert (got.path / "inner" / "inner.py").read_text() == "inner\n"
    assert not sentinel.exists()


def test_the_token_is_for_submodules_on_the_same_server_only(
    origin: GitRepository,
    git_repo: Callable[..., GitRepository],
    git_server: Any,
    other_server: Any,
    get: Get,
) -> None:
    inner, foreign = git_repo({"inner.py": "x"}, name="inner"), git_repo({"foreign.py": "x"}, name="foreign")
    git_server.serve(inner, "inner")
    other_server.serve(foreign, "foreign")
    git_server.login = other_server.login = ("me", "my-token")
    add(origin, inner, "inner", url="../inner.git")
    credentials = Credentials(username="me", password="my-token")
    assert (get(git_server.url(), submodules="shallow", credentials=credentials).path / "inner" / "inner.py").exists()

    add(origin, foreign, "foreign", url=other_server.url("foreign"))
    with pytest.raises(RepositoryError, match="did not let us in"):
        get(git_server.url(), submodules="shallow", credentials=credentials)
    assert other_server.requests
    assert other_server.headers("Authorization") == []


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
    monkeypatch.setattr("nilus.repository.submodules.is_patched", lambda version: False)
    with caplog.at_level(logging.WARNING, "nilus.repository"):
        get(nested.url, submodules="shallow")
    assert "before 2.50.1" in caplog.text


def test_a_repository_without_submodules_is_the_same_with_them_asked_for(
    origin: GitRepository, get: Get, read_files: Read
) -> None:
    assert read_files(get(origin.url, submodules="recursive").path) == read_files(get(origin.url).path)


def test_tens_of_thousands_of_entries_are_refused_as_what_they_are(origin: GitRepository, get: Get) -> None:
    entry = '[submodule "m{0}"]\n\tpath = m{0}\n\turl = ../m{0}.git\n'
    origin.commit({".gitmodules": "".join(map(entry.format, range(20_000)))})
    with pytest.raises(RepositoryError, match=r"The file \.gitmodules of") as caught:
        get(origin.url, submodules="shallow")
    assert caught.value.found == "40000 entries, of 2000 at most"
    assert not caught.value.retryable
