"""git-sync's flags: what is taken, ignored, refused and why; a refused flag's value is never repeated."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nilus.workflow.models import Workflow
from nilus.workflow.sync_flags import parse_duration, parse_sync_flags


@pytest.mark.parametrize(
    "flags",
    [
        ["--ref=main"],
        ["--ref main"],
        ["--ref", "main"],
        ["-ref=main"],
        ["-ref", "main"],
        ["--ref='main'"],
        ['--ref="main"'],
        ["'--ref=main'"],
        "--ref=main",
        "--ref main",
        ("--ref=main",),
        ["--branch=main"],
        ["--rev", "main"],
        ["--branch=main", "--rev=HEAD"],
        ["--rev=HEAD", "--branch=main"],
    ],
)
def test_the_reference_may_be_written_in_every_way(flags):
    read = parse_sync_flags(flags)
    assert read.problems == []
    assert read.settings == {"ref": "main"}


def test_every_allowed_flag_becomes_the_key_it_stands_for(make):
    flags = [
        "--ref=release/1.10",
        "--depth=0",
        "--submodules=recursive",
        "--filter=blob:none",
        "--sparse-checkout-file=conf/sparse",
        "--sync-timeout=2m",
    ]
    repo = Workflow.parse(make(repo={"syncFlags": flags})).repo
    assert repo.redacted() == {
        "url": "https://git.example.com/team/sources",
        "ref": "release/1.10",
        "base-dir": ".",
        "depth": 0,
        "submodules": "recursive",
        "filter": "blob:none",
        "sparse-checkout-file": "conf/sparse",
        "sync-timeout": 120,
    }


def test_several_flags_may_be_in_one_text():
    assert parse_sync_flags("--ref=main --depth 3 --one-time").settings == {"ref": "main", "depth": "3"}


def test_a_number_may_be_an_item():
    assert parse_sync_flags(["--depth", 3]).settings == {"depth": "3"}


@pytest.mark.parametrize(
    "flag",
    [
        ["--root=/git"],
        ["--root", "/git"],
        ["--link", "current"],
        ["--dest=x"],
        ["--one-time"],
        ["--one-time=true"],
        ["--one-time", "true"],
        ["--period=30s"],
        ["--wait", "30"],
        ["--max-failures", "-1"],
        ["--verbose=6"],
        ["-v", "6"],
        ["--v=6"],
    ],
)
def test_a_flag_that_means_nothing_here_is_ignored_with_a_log_line(make, caplog, flag):
    caplog.set_level(logging.INFO, "nilus.workflow")
    repo = Workflow.parse(make(repo={"syncFlags": [*flag, "--ref=main"]})).repo
    assert repo.ref == "main"
    assert len(caplog.records) == 1
    assert "Ignored in repo.syncFlags: --" in caplog.text


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        (
            "it runs a command or changes how git runs",
            "exechook-command exechook-timeout exechook-backoff pre-publish-exechook-command sync-hook-command git "
            "git-config git-config-add",
        ),
        (
            "it calls or opens a network address",
            "webhook-url webhook-method webhook-timeout askpass-url http-bind http-metrics http-pprof",
        ),
        (
            "credentials belong in the Airflow connection",
            "username password password-file credential ssh ssh-key-file ssh-known-hosts ssh-known-hosts-file "
            "github-base-url github-app-private-key github-app-client-id cookie-file",
        ),
        ("it steers git-sync's own process", "add-user group-write touch-file error-file git-gc sync-on-signal"),
        ("the repository is named by repo.url", "repo"),
    ],
)
def test_a_flag_that_is_not_allowed_is_refused_with_its_reason(reason, names):
    for name in names.split():
        for flags in ([f"--{name}=hunter2"], [f"--{name}", "hunter2"], [f"-{name} hunter2"], [f"--{name}"]):
            read = parse_sync_flags(flags)
            assert len(read.problems) == 1, flags
            assert read.problems[0].startswith(f"--{name}: refused")
            assert reason in read.problems[0]
            assert read.settings == {}


@pytest.mark.parametrize(
    ("flag", "meant"),
    [("--reff=main", "--ref"), ("--submodule=off", "--submodules"), ("--timeout=5", "--sync-timeout")],
)
def test_an_unknown_flag_is_refused_with_the_nearest(flag, meant):
    name = flag.partition("=")[0]
    assert parse_sync_flags([flag]).problems == [f"{name}: unknown flag, did you mean {meant}?"]


def test_case_counts_as_it_does_for_git_sync():
    assert parse_sync_flags(["--REF=main"]).problems == ["--REF: unknown flag, did you mean --ref?"]


@pytest.mark.parametrize("flags", [["--ref"], ["--ref="], ["--ref", "--depth=1"], ["--ref=''"]])
def test_a_flag_without_its_value_is_refused(flags):
    assert "--ref: expected a value, found nothing" in parse_sync_flags(flags).problems


@pytest.mark.parametrize(
    "flags", [["--ref=a", "--ref=a"], ["--ref=a", "--branch=b"], ["--branch=a", "--rev=b"], ["--depth=1", "--depth=2"]]
)
def test_a_flag_given_twice_is_refused(flags):
    read = parse_sync_flags(flags)
    assert len(read.problems) == 1
    assert "given twice" in read.problems[0]


@pytest.mark.parametrize(
    "flags",
    [
        ["hunter2"],
        ["--ref=main", "hunter2"],
        ["--password:hunter2"],
        ["--ref:hunter2"],
        ["--ref main hunter2"],
        ["--one-time", "hunter2"],
        ["--ref='hunter2"],
        [{"--password": "hunter2"}],
        {"--password": "hunter2"},
        [None],
        [True],
    ],
)
def test_what_is_no_flag_is_refused_and_not_repeated(flags):
    problems = parse_sync_flags(flags).problems
    assert problems
    assert "hunter2" not in " ".join(problems)


@pytest.mark.parametrize("flags", [None, [], "", ()])
def test_no_flags_are_no_problem(flags):
    read = parse_sync_flags(flags)
    assert (read.settings, read.ignored, read.problems) == ({}, [], [])


def test_the_path_of_a_wrong_value_names_the_flag(make, problems):
    text = problems(make(repo={"syncFlags": ["--depth=all", "--submodules=yes", "--sync-timeout=soon"]}))
    assert "repo.syncFlags --depth: expected a whole number, found 'all'" in text
    assert "repo.syncFlags --submodules: expected one of off, shallow, recursive" in text
    assert "repo.syncFlags --sync-timeout: expected a duration like 120s or 2m" in text


def test_all_wrong_flags_are_listed_at_once(make, problems):
    text = problems(make(repo={"sync_flags": ["--git=/tmp/evil", "--username=me", "--depth=-1"]}))
    assert "repo.sync_flags: --git: refused" in text
    assert "repo.sync_flags: --username: refused" in text
    assert "repo.sync_flags --depth: expected at least 0" in text
    assert "evil" not in text


@given(st.lists(st.text()))
@settings(database=None, deadline=None)
def test_any_text_is_either_taken_or_refused(flags):
    read = parse_sync_flags(flags)
    assert set(read.settings) <= {"ref", "depth", "submodules", "filter", "sparse-checkout-file", "sync-timeout"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120s", 120),
        ("2m", 120),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("2m3.5s", 123.5),
        ("90", 90),
        (" 90 ", 90),
        ("0.5", 0.5),
        ("250us", 0.00025),
    ],
)
def test_a_duration_is_written_as_git_sync_writes_it(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "2 m", "5x", "-5s", "1h-5m", "two minutes", "1e3s", "nan", "5s!"])
def test_what_is_no_duration_is_an_error(text):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)
