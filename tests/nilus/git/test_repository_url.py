"""Which addresses are let through, and that the others start nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.git import repository_url
from nilus.repository import Settings, checkout

USUAL = ("https", "ssh")
EVERY = ("https", "ssh", "http", "file")


@pytest.mark.parametrize(
    ("url", "protocol", "server"),
    [
        ("https://github.com/your-repo", "https", "github.com"),
        ("https://github.com/org/repo.git", "https", "github.com"),
        ("HTTPS://GitHub.com/org/repo", "https", "github.com"),
        ("https://git.example.com:8443/a/b/c", "https", "git.example.com:8443"),
        ("https://192.0.2.1/repo", "https", "192.0.2.1"),
        ("https://[2001:db8::1]:8443/repo", "https", "[2001:db8::1]:8443"),
        ("https://example.com/a%20b/c", None, None),
        ("https://example.com/gr%C3%B6%C3%9Fe", "https", "example.com"),
        ("ssh://git@github.com/org/repo.git", "ssh", "github.com"),
        ("ssh://git@example.com:2222/~me/repo", "ssh", "example.com:2222"),
        ("ssh://example.com/repo", "ssh", "example.com"),
        ("git@github.com:org/repo.git", "ssh", "github.com"),
        ("me.you+x@example.com:repo", "ssh", "example.com"),
    ],
)
def test_the_usual_forms_are_allowed(url: str, protocol: str | None, server: str | None) -> None:
    if protocol is None:
        with pytest.raises(RepositoryError, match="refused"):
            repository_url.parse(url, allowed_protocols=USUAL)
        return
    parsed = repository_url.parse(url, allowed_protocols=USUAL)

    assert (parsed.protocol, parsed.server) == (protocol, server)


@pytest.mark.parametrize(
    ("spellings", "same"),
    [
        (("https://example.com/org/repo", "HTTPS://EXAMPLE.com:443/org/repo/"), True),
        (("ssh://git@example.com/repo", "ssh://git@example.com:22/repo"), True),
        (("https://example.com/org/repo", "https://example.com/org/Repo"), False),
        (("https://example.com/repo", "https://example.com:8443/repo"), False),
        (("https://example.com/repo", "http://example.com/repo"), False),
        (("ssh://a@example.com/repo", "ssh://b@example.com/repo"), False),
        (("git@example.com:repo", "git@example.com:/repo"), False),
    ],
)
def test_spellings_of_one_address_share_a_place_and_other_addresses_never_do(
    spellings: tuple[str, str], same: bool
) -> None:
    first, second = (repository_url.parse(url, allowed_protocols=EVERY).digest for url in spellings)

    assert (first == second) is same


REFUSED = [
    "",
    "-",
    "--upload-pack=touch {sentinel}",
    "-u./run",
    "ext::sh -c touch% {sentinel}",
    "ext::sh",
    "fd::17",
    "https::https://example.com/repo",
    "x::y@example.com:repo",
    "git://example.com/repo",
    "ftp://example.com/repo",
    "ssh+git://example.com/repo",
    "https://",
    "https:///repo",
    "https://example.com",
    "https://example.com/",
    "https://-oProxyCommand=x/repo",
    "ssh://-oProxyCommand=x/repo",
    "ssh://git@-oProxyCommand=x/repo",
    "-oProxyCommand=x@example.com:repo",
    "git@-oProxyCommand=x:repo",
    "git@example.com:-repo",
    "git@example.com:",
    "example.com:repo",
    "owner/repo",
    "./repo",
    "../repo",
    "https://example.com/re po",
    "https://example.com/repo\n",
    "https://example.com/re\rpo",
    "https://example.com/re\0po",
    "https://example.com\n.evil.example/repo",
    "https://example.com%0a.evil.example/repo",
    "https://example.com/repo%0aHost:evil",
    "https://example.com/repo%0d%0a",
    "https://example.com/repo%00",
    "https://example.com\\@evil.example/repo",
    "https://exa%6dple.com/repo",
    "https://example.com:99999/repo",
    "https://example.com:0/repo",
    "https://example.com:port/repo",
    "https://example.com/repo?x=1",
    "https://example.com/repo#x",
    "https://example.com/a/../b",
    "https://example.com/\u202erepo",
    "https://ex\u0430mple.com/repo",
    "https://example.com/" + "x" * 4096,
    "file://host/repo",
    "file:////host/repo",
]


@pytest.mark.parametrize("url", REFUSED)
def test_anything_else_is_refused_and_starts_nothing(
    url: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentinel = tmp_path / "it-ran"
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for program in ("git", "env", "ssh", "sh", "touch"):
        (bin_folder / program).write_text(f"#!/bin/sh\n: > '{sentinel}'\n")
        (bin_folder / program).chmod(0o700)
    monkeypatch.setenv("PATH", str(bin_folder))

    with pytest.raises(RepositoryError) as caught:
        checkout(url.format(sentinel=sentinel) if "{" in url else url, "main", settings=settings)

    assert not caught.value.retryable
    assert not sentinel.exists()
    assert not settings.cache_dir.exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("--upload-pack=x", "a dash at its beginning"),
        ("ext::sh", "'::'"),
        ("https://example.com/re po", "white space or a control character"),
        ("https://example.com/repo%0a", "percent-encoded"),
        ("https://example.com\\@evil.example/repo", "a backslash"),
        ("https://example.com/a%2fb", "a slash in its path"),
        ("https://example.com/a/../b", "'.' or '..'"),
        ("https://user:secret/word@example.com/repo", "something before an @"),
        ("https://example.com/repo?x=1", "a query or a fragment"),
        ("https://example.com:99999/repo", "no proper port"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url: str, words: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        repository_url.parse(url, allowed_protocols=EVERY)

    assert words in caught.value.found


@pytest.mark.parametrize(
    ("relative", "resolved"),
    [
        ("./lib", "https://example.com/org/repo/lib"),
        ("../lib", "https://example.com/org/lib"),
        ("../../team/lib", "https://example.com/team/lib"),
        ("../../../lib", None),
    ],
)
def test_a_relative_address_counts_from_the_repository_and_stays_on_its_server(
    relative: str, resolved: str | None
) -> None:
    base = repository_url.parse("https://example.com/org/repo", allowed_protocols=USUAL)
    if resolved is None:
        with pytest.raises(RepositoryError, match="is refused") as caught:
            repository_url.resolve(relative, base, allowed_protocols=USUAL)
        assert "above the server's root" in caught.value.found
    else:
        assert repository_url.resolve(relative, base, allowed_protocols=USUAL).text == resolved


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret-word@example.com/repo",
        "https://secret-word@example.com/repo",
        "https://secret-word:@example.com/repo",
        "https://user:secret-word/more@example.com/repo",
        "http://user:secret-word@example.com/repo",
        "ssh://user:secret-word@example.com/repo",
        "https://user:secret-word@",
        "git:secret-word@example.com:repo",
    ],
)
def test_user_info_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        repository_url.parse(url, allowed_protocols=EVERY)

    assert "secret-word" not in f"{caught.value} {caught.value!r} {caught.value.as_dict()}"


@pytest.mark.parametrize("url", ["file:///srv/repo", "/srv/repo", "http://example.com/repo"])
def test_files_and_plain_http_are_for_the_deployment_to_allow(url: str) -> None:
    with pytest.raises(RepositoryError, match=r"may not be fetched by (file|http) here") as caught:
        repository_url.parse(url, allowed_protocols=USUAL)
    assert "allowed_protocols" in caught.value.remedy

    assert repository_url.parse(url, allowed_protocols=EVERY).protocol in ("file", "http")


def test_a_plain_path_goes_through_the_same_door_as_a_file_address(origin: GitRepository, settings: Settings) -> None:
    with checkout(str(origin.path), settings=settings) as got:
        assert got.url == origin.url


def test_an_unknown_protocol_in_the_settings_is_an_error() -> None:
    with pytest.raises(RepositoryError, match="allowed_protocols"):
        repository_url.parse("https://example.com/repo", allowed_protocols=("https", "ext"))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/org/repo.git", "repo.git"),
        ("https://example.com/org/my%2Brepo/", "my+repo"),
        ("git@example.com:repo", "repo"),
        ("git@example.com:org/repo.git", "repo.git"),
    ],
)
def test_the_last_segment_is_the_name_of_the_repository(url: str, name: str) -> None:
    assert repository_url.last_segment(url) == name
