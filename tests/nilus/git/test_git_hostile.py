"""A hostile repository, machine, user configuration or name makes nothing run."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.git.commands import Git
from nilus.git.repository_url import RepositoryUrl
from nilus.programs import failure
from nilus.programs.deadline import Deadline
from nilus.repository import Checkout, Credentials, Settings

Get = Callable[..., Checkout]


@pytest.fixture
def sentinel(tmp_path: Path) -> Path:
    """A file that exists when something ran that should not have."""
    return tmp_path / "it-ran"


@pytest.fixture
def program(tmp_path: Path, sentinel: Path) -> Path:
    """A program that makes the sentinel."""
    path = tmp_path / "hostile-program"
    path.write_text(f"#!/bin/sh\necho ran >> '{sentinel}'\n")
    path.chmod(0o700)
    return path


def test_the_sentinel_works(program: Path, sentinel: Path) -> None:
    subprocess.run([program], check=True)
    assert sentinel.exists()


@pytest.fixture
def hostile_configuration(program: Path, tmp_path: Path) -> str:
    """A git configuration whose every line runs the program, or sends git elsewhere."""
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (template / "hooks" / hook).symlink_to(program)
    return "\n".join(
        [
            "[core]",
            f"\tfsmonitor = {program}",
            f"\tsshCommand = {program}",
            f"\thooksPath = {template / 'hooks'}",
            f"\taskPass = {program}",
            f"\tgitProxy = {program}",
            f"\tpager = {program}",
            "[init]",
            f"\ttemplateDir = {template}",
            "[credential]",
            f"\thelper = !{program}",
            '[protocol "ext"]',
            "\tallow = always",
            '[filter "hostile"]',
            f"\tsmudge = {program}",
            f"\tprocess = {program}",
            "\trequired = true",
            '[url "ext::sh -c hostile% "]',
            "\tinsteadOf = file://",
            "\tinsteadOf = http://",
        ]
    )


@pytest.mark.parametrize(
    "where", ["HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "working directory"]
)
def test_no_configuration_of_the_machine_or_a_user_is_read(
    where: str,
    hostile_configuration: str,
    origin: GitRepository,
    get: Get,
    git_server: Any,
    sentinel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / "hostile-home"
    (home / "git").mkdir(parents=True)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.delenv(name, raising=False)
    if where == "working directory":
        origin.git("init", "--quiet", str(home))
        (home / ".git" / "config").write_text(hostile_configuration)
        monkeypatch.chdir(home)
    else:
        (home / ".gitconfig").write_text(hostile_configuration)
        (home / "git" / "config").write_text(hostile_configuration)
        monkeypatch.setenv(where, str(home if where in ("HOME", "XDG_CONFIG_HOME") else home / ".gitconfig"))
    origin.commit({".gitattributes": "* filter=hostile\n"})
    git_server.login = ("user", "token")

    got = get(origin.url)
    with pytest.raises(RepositoryError, match="did not let us in"):
        get(git_server.url())

    assert (got.path / "source.py").read_text() == "first\n"
    assert not sentinel.exists()


def test_no_variable_of_the_worker_reaches_git_but_those_for_proxies_and_certificates(
    origin: GitRepository, get: Get, sentinel: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "environment"
    spy = tmp_path / "bin" / "git"
    spy.parent.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    spy.write_text(f"#!/bin/sh\nenv >> '{shown}'\nexec '{real}' \"$@\"\n")
    spy.chmod(0o700)
    monkeypatch.setenv("PATH", f"{spy.parent}{os.pathsep}{os.environ['PATH']}")
    hostile = {
        "AIRFLOW__CORE__FERNET_KEY": "worker-secret",
        "AIRFLOW_CONN_X": "worker-secret",
        "GIT_SSH": str(program),
        "GIT_SSH_COMMAND": str(program),
        "GIT_ASKPASS": str(program),
        "SSH_ASKPASS": str(program),
        "GIT_EXTERNAL_DIFF": str(program),
        "GIT_PROXY_COMMAND": str(program),
        "GIT_TEMPLATE_DIR": str(tmp_path),
        "GIT_DIR": str(tmp_path),
        "GIT_EXEC_PATH": str(tmp_path),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(program),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{program}'",
        "GIT_TRACE": str(tmp_path / "trace"),
        "LD_PRELOAD_X": "x",
        "LANGUAGE": "de",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/certificates.pem")

    got = get(origin.url)

    assert (got.path / "source.py").read_text() == "first\n"
    assert not sentinel.exists()
    environment = shown.read_text()
    assert "worker-secret" not in environment
    assert str(program) not in environment
    names = {line.partition("=")[0] for line in environment.splitlines()}
    assert "SSL_CERT_FILE" in names
    allowed = {"CURL_CA_BUNDLE", "PATH", "HOME", "PWD", "SHLVL", "_", "LANG", "LC_ALL", "TMPDIR", "OLDPWD"}
    unexpected = {
        name for name in names - allowed if not name.startswith(("GIT_", "SSL_")) and "proxy" not in name.lower()
    }
    assert unexpected == set()
    assert not {"GIT_SSH", "GIT_TRACE", "GIT_EXEC_PATH", "GIT_CONFIG_PARAMETERS", "LANGUAGE"} & names


@pytest.mark.parametrize(
    "ref", ["--upload-pack={program};git-upload-pack", "--exec={program}", "-u{program}", "--output={program}"]
)
def test_even_a_name_that_got_past_our_check_is_no_option_for_git(
    ref: str, origin: GitRepository, settings: Settings, program: Path, sentinel: Path, tmp_path: Path
) -> None:
    hostile = ref.format(program=program)
    folder = tmp_path / "folder"
    folder.mkdir()
    git = Git(
        url=RepositoryUrl(origin.url, "file", "", "", str(origin.path), origin.url),
        allowed_protocols=("file",),
        deadline=Deadline(60),
    )
    git.init(folder)

    assert git.ls_remote([hostile]) == {}
    with contextlib.suppress(RepositoryError):
        assert not git.fetch(folder, [hostile])
    assert git.commit_of(folder, hostile) is None
    with pytest.raises(RepositoryError):
        git.paths(folder, hostile)
    assert not sentinel.exists()


@pytest.mark.parametrize(
    "url", ["--upload-pack={program}", "ext::{program}", "-u{program}", "ext::sh -c {program}% %S"]
)
def test_even_an_address_that_got_past_our_check_starts_no_program(
    url: str, origin: GitRepository, program: Path, sentinel: Path, tmp_path: Path
) -> None:
    hostile = url.format(program=program)
    folder = tmp_path / "folder"
    folder.mkdir()
    git = Git(
        url=RepositoryUrl(hostile, "https", "", "", "", hostile),
        allowed_protocols=("https", "ssh", "http", "file"),
        deadline=Deadline(60),
    )

    with pytest.raises(RepositoryError):
        git.ls_remote([origin.url])
    git.init(folder)
    with pytest.raises(RepositoryError):
        git.fetch(folder, ["HEAD"])
    assert not sentinel.exists()


@pytest.mark.parametrize("path", [".git/hooks/post-checkout", ".GIT/config", "git~1/config", "a/.git/x", ".gitmodules"])
def test_a_commit_with_git_s_own_names_in_it_is_refused(
    path: str, origin: GitRepository, get: Get, sentinel: Path, settings: Settings
) -> None:
    *folders, name = path.split("/")
    mode = "120000" if path == ".gitmodules" else "100755"
    entry = f"{mode} blob {origin.git('hash-object', '-w', 'source.py')}\t{name}"
    for folder in [*reversed(folders), None]:
        done = subprocess.run(
            ["git", "mktree"], cwd=origin.path, input=f"{entry}\n", capture_output=True, text=True, check=True
        )
        entry = f"040000 tree {done.stdout.strip()}\t{folder}"
    commit = origin.git("commit-tree", "-m", "hostile", done.stdout.strip())
    origin.git("update-ref", "refs/heads/hostile", commit)

    with pytest.raises(RepositoryError, match="name that git does not write") as caught:
        get(origin.url, "hostile")

    assert not caught.value.retryable
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))


def test_hooks_and_configuration_of_the_repository_served_do_not_run_here(
    origin: GitRepository, get: Get, program: Path, sentinel: Path
) -> None:
    for hook in ("post-checkout", "post-merge", "reference-transaction"):
        path = origin.path / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(program)
    origin.git("config", "core.fsmonitor", str(program))
    origin.commit({".gitattributes": "*.py filter=x\n", ".gitconfig": f"[core]\n\tfsmonitor = {program}\n"})
    sentinel.unlink(missing_ok=True)

    got = get(origin.url)

    assert (got.path / ".gitconfig").exists()
    assert not sentinel.exists()


def test_what_a_server_says_is_shown_without_control_characters_user_info_and_secrets() -> None:
    said = "remote: \033[31mred\033[0m\a\r\nfatal: https://me:word@example.com/x, or my%20token\n\n" + "x" * 9000

    shown = failure.quote_output(said, Credentials(password="my token").secrets())

    assert shown.replace("\n", "").isprintable()
    assert len(shown) <= 4000
    shown = failure.quote_output(said[:100], Credentials(password="my token").secrets())
    assert "https://***@example.com/x, or ***" in shown
