"""When packages cannot be had: what is wrong, in uv's own last lines too; and whether trying again can help."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nilus.environment import Environment, EnvironmentSettings
from nilus.environment.uv import failure
from nilus.environment.uv.failure import UvFailed
from nilus.errors import DependencyError

Get = Callable[..., Environment]
WaitUntil = Callable[..., None]


def refused(get: Get, text: str, **options: Any) -> DependencyError:
    with pytest.raises(DependencyError) as caught:
        get(text, **options)
    return caught.value


def test_a_package_no_index_has_is_no_fault_that_passes(index: Any, get: Get) -> None:
    error = refused(get, "not-there>=2\n")

    assert error.message == (
        "uv could not find out what sources/requirements.txt needs: a package is in none of the indexes."
    )
    assert "Because not-there was not found in the package registry and you require not-there>=2" in error.found
    assert not error.retryable


def test_a_version_no_index_has_is_no_fault_that_passes(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))

    error = refused(get, "plain>=2\n")

    assert "no set of versions fits together" in error.message
    assert "plain>=2" in error.found
    assert not error.retryable


def test_a_package_for_another_python_is_no_fault_that_passes(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0", requires_python=">=3.99"))

    error = refused(get, "plain\n")

    assert "does not work with this Python" in error.message
    assert not error.retryable


def test_a_wheel_for_another_machine_is_no_fault_that_passes(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0", tag="cp311-cp311-win_amd64"))

    error = refused(get, "plain\n")

    assert "does not work with this Python on this machine" in error.message
    assert not error.retryable


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_index_out_of_order_may_be_tried_again(status: int, index: Any, get: Get) -> None:
    index.status = status

    error = refused(get, "plain\n")

    assert "the index cannot be reached, or does not answer as it should" in error.message
    assert str(status) in error.found
    assert error.retryable


def test_an_index_that_is_not_there_may_be_tried_again(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")

    error = refused(get, "plain\n")

    assert "cannot be reached" in error.message
    assert "Connection refused" in error.found
    assert error.retryable


def test_without_a_network_what_is_cached_works_and_the_rest_may_be_tried_again(
    index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(make.wheel("plain", "1.0"))
    first = get("plain\n")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    index.status = 503

    assert get("plain\n").paths == first.paths
    error = refused(get, "plain\nother\n")
    assert error.retryable


def test_uv_switched_offline_says_so(index: Any, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")

    error = refused(get, "plain\n")

    assert "the network is switched off for uv (UV_OFFLINE)" in error.message
    assert error.retryable
    assert index.requests == []


@pytest.mark.parametrize("credential", ["", "reader:wr0ng-s3cret@"])
def test_an_index_that_does_not_let_us_in_is_no_fault_that_passes_and_shows_no_secret(
    credential: str, index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.login = ("reader", "right")
    index.add(make.wheel("plain", "1.0"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url.replace("//", f"//{credential}"))

    error = refused(get, "plain\n")

    assert "the index did not let us in" in error.message
    assert "401" in error.found
    assert "wr0ng-s3cret" not in str(error)
    assert not error.retryable


def test_a_source_archive_that_cannot_be_built_shows_the_last_lines_of_the_build(
    index: Any, make: Any, get: Get
) -> None:
    body = "import sys; sys.stderr.write('line of the build\\n' * 5000); raise RuntimeError('no compiler for this')"
    index.add(make.source_archive("broken", "1.0", body=body))

    error = refused(get, "broken\n")

    assert error.message == (
        "uv could not install what sources/requirements.txt needs: a source archive could not be built into a package."
    )
    assert "Failed to build `broken==1.0`" in error.found
    assert "RuntimeError: no compiler for this" in error.found
    assert len(error.found.splitlines()) < 30
    assert not error.retryable


def test_a_build_sees_nothing_of_airflows_and_no_other_secrets(
    index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "fernet")
    monkeypatch.setenv("SHOP_TOKEN", "token")
    seen = tmp_path / "seen"
    index.add(make.source_archive("curious", "1.0", body=f"open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"))

    get("curious\n")

    environ = seen.read_text()
    assert "PATH" in environ
    assert not [word for word in ("AIRFLOW__", "fernet", "SHOP_TOKEN", "PYTHONPATH") if word in environ]


def test_secrets_are_in_no_argument_no_file_and_no_log(
    index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    index.login = ("reader", "s3cret/of it")
    body = (
        "arguments = [open(f'/proc/{pid}/cmdline').read() for pid in (os.getppid(), os.getpid())]; "
        f"open({str(tmp_path / 'arguments')!r}, 'w').write(repr(arguments)); raise SystemExit(os.environ['UV_INDEX'])"
    )
    index.add(make.source_archive("curious", "1.0", body=body))
    index.add(make.wheel("plain", "1.0"))
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("UV_INDEX", index.with_login("reader", "s3cret%2Fof%20it"))

    error = refused(get, "curious\n")
    get("plain\n")

    assert "uv" in (tmp_path / "arguments").read_text()
    shown = [str(error), repr(error.as_dict()), caplog.text, (tmp_path / "arguments").read_text()]
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert files
    shown += [path.read_bytes().decode("latin-1") for path in files]
    assert not [text for text in shown if "s3cret" in text]


def test_a_uv_that_takes_too_long_is_ended_with_all_it_started(
    index: Any, make: Any, get: Get, tmp_path: Path, wait_until: WaitUntil
) -> None:
    numbers = tmp_path / "numbers"
    body = (
        "import subprocess, time; child = subprocess.Popen(['sleep', '300']); "
        f"open({str(numbers)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(300)"
    )
    index.add(make.source_archive("slow", "1.0", body=body))

    error = refused(get, "slow\n", timeout=5.0)

    assert error.message == "uv could not install what sources/requirements.txt needs within 5 seconds."
    assert error.retryable
    wait_until(lambda: not any(map(_runs, numbers.read_text().split())), "the end of the build")


def _runs(number: str) -> bool:
    try:
        state = Path("/proc", number, "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_an_interrupted_task_leaves_no_uv_behind(
    index: Any, make: Any, start_prepare: Callable[..., subprocess.Popen[str]], source: Any, wait_until: WaitUntil
) -> None:
    index.hold = threading.Event()
    index.add(make.wheel("plain", "1.0"))
    source.asks("plain\n")
    process = start_prepare()
    wait_until(index.holding.is_set, "a download to begin")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children

    process.send_signal(2)

    assert "KeyboardInterrupt" in process.communicate(timeout=60)[0]
    wait_until(lambda: not any(map(_runs, children)), "the end of uv")


def test_there_is_a_clear_error_without_uv(index: Any, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)

    error = refused(get, "plain\n")

    assert error.message == "There is no uv beside this Python."
    assert "pip install uv" in error.remedy


def test_a_uv_that_cannot_be_started_is_told(
    index: Any, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "uv").write_text("not a program")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setattr("nilus.environment.uv.program.find_uv", lambda: str(tmp_path / "uv"))

    error = refused(get, "plain\n")

    assert error.message == "uv could not be started."
    assert error.retryable


def test_a_uv_that_was_killed_may_be_tried_again(
    get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: EnvironmentSettings
) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setattr("nilus.environment.uv.program.find_uv", lambda: str(tmp_path / "uv"))

    error = refused(get, "plain\n")

    assert error.found == "ended by signal 9"
    assert error.retryable
    assert not list((settings.cache_dir / "resolutions-v1" / "staging").iterdir())


@pytest.mark.parametrize(
    ("words", "summary", "retryable"),
    [
        ("error: failed to write to file: No space left on device (os error 28)", "the disk is full", True),
        ("error: Failed to initialize cache at `/x`\n  cause: Permission denied", "uv cannot use its own cache", False),
        ("client error\n  cause: invalid peer certificate: UnknownIssuer", "certificate of the index", False),
        ("error: Failed to fetch\n Caused by: operation timed out", "cannot be reached", True),
        ("Failed to download `x==1`\n HTTP status client error (404 Not Found) for url (http://x)", "lists", False),
        ("  × Failed to build `x==1`\n  ├─▶ The build backend returned an error", "could not be built", False),
        ("Git operation failed\n failed to clone into: /x", "a git repository could not be fetched", True),
        ("something nobody has seen yet", "", True),
    ],
)
def test_each_kind_of_failure_knows_whether_trying_again_can_help(words: str, summary: str, retryable: bool) -> None:
    error = UvFailed("do it", 2, words, ()).error()

    assert error.message.startswith("uv could not do it")
    assert summary in error.message
    assert error.retryable is retryable
    assert words.splitlines()[-1].strip() in error.found


def test_what_uv_printed_is_shown_without_secrets_progress_and_control_characters() -> None:
    text = (
        "Resolved 1 package\nerror: first\n" + "x\n" * 100 + "y" * 1000 + "\n"
        "at https://me:p%40ss@host/simple with p@ss\x1b[31m\n\n  and more\n"
    )

    lines = failure.quote_output(text, ["p%40ss", "p@ss"]).splitlines()

    assert lines[:6] == ["error: first", "x", "x", "x", "x", "..."]
    assert lines[-3:] == ["...", "at https://***@host/simple with *** [31m", "  and more"]
    assert len(lines) == 26


def test_warnings_of_uv_are_passed_on(index: Any, make: Any, get: Get, caplog: pytest.LogCaptureFixture) -> None:
    index.add(make.wheel("plain", "1.0"))

    get("plain[no-such-extra]\n")

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text for text in warnings if text.startswith("uv: ") and "no-such-extra" in text]


def test_the_machines_own_variables_are_untouched(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))
    before = dict(os.environ)
    get("plain\n")

    assert dict(os.environ) == before
