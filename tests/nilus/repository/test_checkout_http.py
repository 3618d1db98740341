"""Over HTTP, with servers that want a login, redirect, fail, dawdle and speak older protocols."""

from __future__ import annotations

import base64
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.repository import Checkout, Credentials, Settings, checkout

Get = Callable[..., Checkout]

USER = "a user"
TOKEN = 'it\'s-a "$HOME" `secret` %2F@/:\\ \u00fc token'
SPELLINGS = (
    TOKEN,
    quote(TOKEN),
    quote(TOKEN, safe=""),
    base64.b64encode(TOKEN.encode()).decode(),
    base64.b64encode(f"{USER}:{TOKEN}".encode()).decode(),
)


@pytest.fixture
def credentials() -> Credentials:
    return Credentials(username=USER, password=TOKEN)


@pytest.fixture
def private(git_server: Any) -> Any:
    """The server, for those who log in only."""
    git_server.login = (USER, TOKEN)
    return git_server


@pytest.fixture
def in_background() -> Iterator[Callable[..., Future[Any]]]:
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


def texts_of(error: BaseException) -> str:
    """Everything an error can show: itself, its causes, its parts, its frames' values are not meant."""
    texts: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        texts += [str(seen), repr(seen), repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


def test_a_repository_is_fetched_over_http(git_server: Any, get: Get) -> None:
    got = get(git_server.url())

    assert (got.path / "source.py").read_text() == "first\n"
    assert git_server.count("fetch") == 1


def test_a_cached_ref_costs_one_question_and_a_cached_hash_none(git_server: Any, get: Get) -> None:
    commit = get(git_server.url(), "main").commit
    git_server.requests.clear()

    assert get(git_server.url(), "main").cached
    assert (git_server.count("ls-refs"), git_server.count("fetch")) == (1, 0)

    git_server.requests.clear()
    assert get(git_server.url(), commit).cached
    assert git_server.requests == []


def test_the_right_user_and_token_are_let_in(private: Any, get: Get, credentials: Credentials) -> None:
    got = get(private.url(), credentials=credentials)

    assert (got.path / "source.py").read_text() == "first\n"


def test_a_token_needs_no_user(git_server: Any, get: Get) -> None:
    git_server.login = ("git", "token")

    assert get(git_server.url(), credentials=Credentials(password="token")).commit


def test_a_rotated_token_is_used_at_once(private: Any, origin: GitRepository, get: Get) -> None:
    get(private.url(), "main", credentials=Credentials(username=USER, password=TOKEN))
    origin.commit({"source.py": "second\n"})
    private.login = (USER, "rotated")

    with pytest.raises(RepositoryError, match="did not let us in"):
        get(private.url(), "main", credentials=Credentials(username=USER, password=TOKEN))
    got = get(private.url(), "main", credentials=Credentials(username=USER, password="rotated"))

    assert (got.path / "source.py").read_text() == "second\n"


@pytest.mark.parametrize("given", [None, Credentials(), Credentials(username=USER, password="wrong")], ids=str)
def test_the_wrong_credential_is_an_error_that_names_the_server_and_no_retry_helps(
    private: Any, get: Get, given: Credentials | None
) -> None:
    with pytest.raises(RepositoryError, match="the server did not let us in") as caught:
        get(private.url(), credentials=given)

    assert private.url() in str(caught.value)
    assert "GITSYNC_PASSWORD" in caught.value.remedy
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "fault",
    ["none", "status 401", "status 403", "status 500", "redirect", "truncate", "wrong ref", "wrong commit", "no repo"],
)
def test_the_token_shows_up_nowhere_whatever_happens(
    private: Any,
    get: Get,
    credentials: Credentials,
    settings: Settings,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    ref = {"wrong ref": "mian", "wrong commit": "0" * 40}.get(fault, "main")
    if fault.startswith("status"):
        private.status = int(fault.split()[1])
    elif fault == "redirect":
        private.redirect_to = "http://127.0.0.1:9"
    elif fault == "truncate":
        private.truncate = True

    shown = ""
    try:
        got = get(private.url("other" if fault == "no repo" else "sources"), ref, credentials=credentials)
        shown = repr(got)
        assert fault == "none"
    except RepositoryError as error:
        assert fault != "none"
        shown = texts_of(error)
    shown += caplog.text + repr(credentials) + "".join(_texts_below(settings.cache_dir))

    assert caplog.records
    for spelling in SPELLINGS:
        assert spelling not in shown


def _texts_below(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes().decode("utf-8", "replace")


def test_the_token_is_in_no_command_line_and_no_file_while_git_runs(
    private: Any,
    settings: Settings,
    credentials: Credentials,
    in_background: Callable[..., Future[Checkout]],
    wait_until: Callable[..., None],
) -> None:
    private.hold = threading.Event()
    future = in_background(checkout, private.url(), "main", settings=settings, credentials=credentials)
    wait_until(private.holding.is_set, "git fetches")

    lines, git_runs = [], False
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        lines.append(line)
        git_runs = git_runs or ("fetch" in line and "origin" in line)
    files = "".join(_texts_below(settings.cache_dir))
    private.hold.set()
    with future.result(60):
        pass

    assert git_runs
    assert private.url() in files, "the configuration of the repository being fetched was looked at"
    for spelling in SPELLINGS:
        assert spelling not in "\n".join(lines)
        assert spelling not in files


@pytest.mark.parametrize("kind", ["advertise", "ls-refs", "fetch"])
def test_the_token_never_reaches_the_host_a_server_redirects_to(
    private: Any, other_server: Any, get: Get, credentials: Credentials, kind: str
) -> None:
    private.redirect_kinds = (kind,)
    private.redirect_to = f"http://localhost:{other_server.port}"
    other_server.login = (USER, TOKEN)

    with pytest.raises(RepositoryError, match="redirects to another address") as caught:
        get(private.url(), credentials=credentials)

    assert not caught.value.retryable
    assert private.requests
    assert other_server.requests == []


def test_a_credential_for_one_port_is_not_given_to_another(
    private: Any, other_server: Any, origin: GitRepository, get: Get
) -> None:
    other_server.serve(origin)
    other_server.login = (USER, TOKEN)
    environ = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"credential.http://127.0.0.1:{private.port}.helper",
        "GIT_CONFIG_VALUE_0": "!f() { echo username=a; echo password=b; }; f",
    }

    with pytest.raises(RepositoryError, match="did not let us in"):
        get(other_server.url(), credentials=Credentials(environ=environ))
    assert other_server.headers("Authorization") == []


def test_a_token_over_plain_http_is_warned_about(
    private: Any, get: Get, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "nilus.repository"):
        get(private.url(), credentials=credentials)
    assert "unencrypted" in caplog.text


@pytest.mark.parametrize(
    ("status", "words", "retryable"),
    [
        (401, "did not let us in", False),
        (403, "did not let us in", False),
        (404, "no such repository", False),
        (429, "overloaded", True),
        (500, "failed", True),
        (503, "failed", True),
    ],
)
def test_a_retry_helps_against_a_server_that_failed_and_not_against_one_that_refused(
    git_server: Any, get: Get, status: int, words: str, retryable: bool
) -> None:
    git_server.status = status

    with pytest.raises(RepositoryError, match=words) as caught:
        get(git_server.url())

    assert caught.value.retryable is retryable
    assert git_server.url() in caught.value.message


def test_a_repository_that_is_not_there_is_an_error(git_server: Any, get: Get) -> None:
    with pytest.raises(RepositoryError, match="no such repository") as caught:
        get(git_server.url("nothing"))
    assert not caught.value.retryable


def test_a_server_that_does_not_listen_is_an_error_a_retry_may_help_against(get: Get) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(RepositoryError, match="no connection") as caught:
            get(f"http://127.0.0.1:{port}/repo.git")
    assert caught.value.retryable


def test_an_answer_that_breaks_off_is_an_error_and_leaves_nothing(
    git_server: Any, get: Get, settings: Settings
) -> None:
    git_server.truncate = True

    with pytest.raises(RepositoryError, match="connection broke") as caught:
        get(git_server.url())
    assert caught.value.retryable
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))

    git_server.truncate = False
    assert get(git_server.url()).commit


def test_a_slow_server_is_given_up_at_the_timeout_with_all_its_processes(
    git_server: Any, get: Get, settings: Settings, wait_until: Callable[..., None]
) -> None:
    git_server.hold = threading.Event()

    with pytest.raises(RepositoryError, match="within 3 seconds") as caught:
        get(git_server.url(), timeout=3)

    assert git_server.holding.is_set()
    assert caught.value.retryable
    assert "--sync-timeout" in caught.value.remedy
    wait_until(lambda: not _git_processes(git_server.url()), "every process of that git ends", 5)
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))
    git_server.hold.set()
    assert get(git_server.url()).commit


def _git_processes(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode("utf-8", "replace")
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if text in line and "git" in line and int(process.name) != os.getpid() and state != "Z":
            found.append(line)
    return found


def test_an_interrupted_task_leaves_no_git_behind(
    git_server: Any, get: Get, settings: Settings, wait_until: Callable[..., None]
) -> None:
    class TaskTimeoutError(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise TaskTimeoutError

    git_server.hold = threading.Event()
    before = signal.signal(signal.SIGUSR1, interrupt)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt_when_fetching() -> None:
        git_server.holding.wait(30)
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=interrupt_when_fetching)
    thread.start()
    try:
        with pytest.raises(TaskTimeoutError):
            get(git_server.url())
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)

    wait_until(lambda: not _git_processes(git_server.url()), "every process of that git ends", 5)
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))


@pytest.mark.parametrize("ref", ["main", "behind", "v1"])
@pytest.mark.parametrize("server", ["old_protocol", "dumb"])
def test_servers_that_give_no_commit_by_its_hash_are_asked_for_more(
    git_server: Any, origin: GitRepository, get: Get, server: str, ref: str
) -> None:
    behind = origin.tag("v1", annotated=True)
    origin.commit({"source.py": "second\n"})
    tip = origin.commit({"source.py": "third\n"})
    origin.git("update-server-info")
    setattr(git_server, server, True)

    got = get(git_server.url(), behind if ref == "behind" else ref)

    assert got.commit == (tip if ref == "main" else behind)
    assert (got.path / "source.py").read_text() == ("third\n" if ref == "main" else "first\n")


def test_a_hash_that_is_on_no_branch_is_an_error_on_an_old_server(
    git_server: Any, origin: GitRepository, get: Get
) -> None:
    lost = origin.commit({"source.py": "lost\n"})
    origin.git("reset", "--quiet", "--hard", "HEAD~1")
    git_server.old_protocol = True

    with pytest.raises(RepositoryError, match=f"has no commit {lost}") as caught:
        get(git_server.url(), lost)
    assert not caught.value.retryable


def test_a_branch_that_moves_between_question_and_fetch_gives_the_commit_it_was_asked_for(
    git_server: Any, origin: GitRepository, get: Get, in_background: Callable[..., Future[Checkout]], wait_until: Any
) -> None:
    first = origin.head
    git_server.old_protocol = True
    git_server.hold = threading.Event()
    future = in_background(get, git_server.url(), "main")
    wait_until(git_server.holding.is_set, "git fetches")
    origin.commit({"source.py": "second\n"})
    git_server.hold.set()

    assert future.result(60).commit == first
    assert (future.result().path / "source.py").read_text() == "first\n"


def test_a_proxy_of_the_machine_is_used(git_server: Any, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{git_server.port}")

    with pytest.raises(RepositoryError):
        get("http://git.example.test/sources.git")

    assert git_server.requests[0]["path"].startswith("http://git.example.test/sources.git/info/refs")


VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")


@pytest.mark.parametrize("switch", [None, "GIT_SSL_NO_VERIFY"])
def test_a_certificate_nobody_vouches_for_is_refused_and_the_token_is_not_told(
    tls_server: Any, get: Get, credentials: Credentials, monkeypatch: pytest.MonkeyPatch, switch: str | None
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if switch:
        monkeypatch.setenv(switch, "1")
    tls_server.login = (USER, TOKEN)

    with pytest.raises(RepositoryError, match="certificate is not trusted") as caught:
        get(tls_server.url(), credentials=credentials)

    assert "SSL_CERT_FILE" in caught.value.remedy
    assert not caught.value.retryable
    assert tls_server.requests == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"])
def test_an_authority_of_the_machine_is_trusted_and_the_token_lets_us_in(
    tls_server: Any,
    get: Get,
    credentials: Credentials,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(certificate))
    tls_server.login = (USER, TOKEN)

    got = get(tls_server.url(), credentials=credentials)

    assert got.url.startswith("https://")
    assert (got.path / "source.py").read_text() == "first\n"
