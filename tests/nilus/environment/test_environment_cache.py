"""Environments in the cache: made once, healed when broken, never taken from under those who use them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import site
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nilus.cache import file_tree
from nilus.environment import Environment, EnvironmentSettings
from nilus.errors import DependencyError

Get = Callable[..., Environment]
Start = Callable[..., subprocess.Popen[str]]
WaitUntil = Callable[..., None]


def files(folder: str) -> set[str]:
    root = Path(folder)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def markers(settings: EnvironmentSettings, bucket: str) -> list[Path]:
    return list((settings.cache_dir / bucket).glob("*/marker.json"))


def staged(settings: EnvironmentSettings) -> list[Path]:
    buckets = [settings.cache_dir / name for name in ("envs-v1", "resolutions-v1")]
    return [path for bucket in buckets for path in (bucket / "staging").glob("*")]


def test_twenty_processes_at_once_install_once(
    index: Any, make: Any, start_prepare: Start, source: Any, settings: EnvironmentSettings, wait_until: WaitUntil
) -> None:
    index.add(make.wheel("plain", "1.0"))
    built = make.source_archive("built", "1.0", body="open(os.environ['UV_CACHE_DIR'] + '/../builds', 'a').write('x')")
    index.add(built)
    index.hold = threading.Event()
    source.asks("plain\nbuilt\n")

    processes = [start_prepare() for _ in range(20)]
    wait_until(index.holding.is_set, "the first download")
    index.hold.set()
    answers = [process.communicate(timeout=240)[0].split() for process in processes]

    assert sorted(answer[0] for answer in answers) == ["False", *["True"] * 19]
    assert len({answer[1] for answer in answers}) == 1
    assert (settings.cache_dir.parent / "builds").read_text() == "x"
    assert staged(settings) == []


@pytest.mark.parametrize("bucket", ["resolutions-v1", "envs-v1"])
def test_what_a_killed_process_left_heals(
    bucket: str,
    index: Any,
    make: Any,
    start_prepare: Start,
    get: Get,
    settings: EnvironmentSettings,
    wait_until: WaitUntil,
    tmp_path: Path,
) -> None:
    index.add(make.wheel("plain", "1.0", requires=["other"]))
    index.add(make.wheel("other", "1.0"))
    get("plain\n").release()
    for name in {"resolutions-v1", "envs-v1"} if bucket == "resolutions-v1" else {bucket}:
        file_tree.remove(settings.cache_dir / name)
    file_tree.remove(tmp_path / "uv-cache")
    index.hold = threading.Event()
    process = start_prepare()
    wait_until(index.holding.is_set, "a download to begin")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    process.send_signal(signal.SIGKILL)
    process.wait()
    left = staged(settings)
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children), "the end of uv")
    index.hold.set()
    environment = get()

    assert [path.parent.parent.name for path in left] == [bucket]
    assert not environment.cached
    assert {"plain/__init__.py", "other/__init__.py"} <= files(environment.paths[0])
    assert staged(settings) == []


def test_a_uv_whose_parent_was_killed_keeps_its_folder_until_it_ends(
    index: Any,
    make: Any,
    start_prepare: Start,
    get: Get,
    source: Any,
    settings: EnvironmentSettings,
    wait_until: WaitUntil,
) -> None:
    index.add(make.wheel("plain", "1.0"))
    source.asks("plain\n")
    index.hold = threading.Event()
    process = start_prepare()
    wait_until(index.holding.is_set, "a download to begin")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    (left,) = staged(settings)

    index.add(make.wheel("other", "1.0"))
    index.hold, hold = None, index.hold
    with get("other\n"):
        assert left.exists()
    hold.set()
    wait_until(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children), "the end of uv")
    with get("plain\n") as environment:
        assert "plain/__init__.py" in files(environment.paths[0])
    assert not left.exists()


def test_two_interrupts_in_a_row_heal(
    index: Any,
    make: Any,
    start_prepare: Start,
    get: Get,
    source: Any,
    settings: EnvironmentSettings,
    wait_until: WaitUntil,
) -> None:
    index.add(make.wheel("plain", "1.0"))
    source.asks("plain\n")
    index.hold = threading.Event()
    process = start_prepare()
    wait_until(index.holding.is_set, "a download to begin")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[0]
    index.hold.set()
    wait_until(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children), "the end of uv")

    assert "plain/__init__.py" in files(get("plain\n").paths[0])
    assert staged(settings) == []


@pytest.mark.parametrize("bucket", ["envs-v1", "resolutions-v1"])
def test_what_is_broken_is_made_again(
    bucket: str, index: Any, make: Any, get: Get, settings: EnvironmentSettings, caplog: pytest.LogCaptureFixture
) -> None:
    index.add(make.wheel("plain", "1.0"))
    with get("plain\n") as environment:
        whole = files(environment.paths[0])
    ((content,),) = ([path for path in entry.parent.iterdir() if path.is_dir()] for entry in markers(settings, bucket))
    for path in (content.parent, content, *content.rglob("*")):
        path.chmod(0o700)

    shutil.rmtree(content)
    again = get("plain\n")

    assert (again.packages, again.paths) == (("plain==1.0",), environment.paths)
    assert files(again.paths[0]) == whole
    assert "is broken" in caplog.text


def test_nothing_is_seen_before_it_is_whole(
    index: Any,
    make: Any,
    get: Get,
    settings: EnvironmentSettings,
    start_prepare: Start,
    source: Any,
    wait_until: WaitUntil,
) -> None:
    index.add(make.wheel("plain", "1.0"))
    source.asks("plain\n")
    index.hold = threading.Event()
    process = start_prepare()
    wait_until(index.holding.is_set, "a download to begin")

    assert not markers(settings, "envs-v1")

    index.hold.set()
    assert process.communicate(timeout=120)[0].split()[0] == "False"
    assert len(markers(settings, "envs-v1")) == 1


def test_a_failed_installation_leaves_nothing_and_the_next_one_works(
    index: Any, make: Any, get: Get, settings: EnvironmentSettings, tmp_path: Path
) -> None:
    switch = tmp_path / "broken"
    switch.touch()
    body = f"if os.path.exists({str(switch)!r}): raise RuntimeError('not today')"
    index.add(make.source_archive("moody", "1.0", body=body))

    with pytest.raises(DependencyError, match="could not be built"):
        get("moody\n")
    assert staged(settings) == []
    assert not markers(settings, "envs-v1")
    switch.unlink()

    assert get("moody\n").packages == ("moody==1.0",)


def test_another_python_build_gets_an_environment_of_its_own(
    index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(make.wheel("plain", "1.0"))
    before = get("plain\n")
    monkeypatch.setattr("sys.version", "3.11.99 (main, Jan  1 2031, 00:00:00) [GCC 19.1]")

    after = get("plain\n")

    assert not after.cached
    assert after.paths != before.paths


def test_another_installed_version_asks_again_and_shares_what_is_the_same(
    index: Any,
    make: Any,
    get: Get,
    settings: EnvironmentSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    index.add(make.wheel("plain", "1.0"))
    before = get("plain\n")
    folder = tmp_path / "site"
    (folder / "brandnew-1.0.dist-info").mkdir(parents=True)
    (folder / "brandnew-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: brandnew\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(folder)
    folders = [str(folder), *site.getsitepackages()]
    monkeypatch.setattr("site.getsitepackages", lambda: folders)
    remembered = set((settings.cache_dir / "resolutions-v1").glob("*/marker.json"))

    after = get("plain\n")

    assert (after.cached, after.paths) == (True, before.paths)
    assert set((settings.cache_dir / "resolutions-v1").glob("*/marker.json")) > remembered


def test_another_index_gets_an_environment_of_its_own_and_another_user_of_it_does_not(
    index: Any, other_index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (index, other_index):
        one.add(make.wheel("plain", "1.0"))
    first = get("plain\n")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.with_login("reader", "token"))
    same = get("plain\n")
    monkeypatch.setenv("UV_DEFAULT_INDEX", other_index.url)
    other = get("plain\n")

    assert (same.cached, same.paths) == (True, first.paths)
    assert (other.cached, other.paths == first.paths) == (False, False)


def test_an_environment_another_process_uses_is_not_removed(
    index: Any, make: Any, get: Get, settings: EnvironmentSettings, start_prepare: Start, source: Any
) -> None:
    index.add(make.wheel("first", "1.0"))
    index.add(make.wheel("second", "1.0"))
    source.asks("first\n")
    process = start_prepare("hold")
    assert process.stdout is not None
    path = Path(process.stdout.readline().split()[1])

    small = dataclasses.replace(settings, cache_max_bytes=1)
    get("second\n", settings=small).release()
    assert (path / "first" / "__init__.py").exists()

    process.communicate("", timeout=60)
    index.add(make.wheel("third", "1.0"))
    get("third\n", settings=small)
    assert not path.exists()


def test_the_size_counts_the_byte_code(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))
    (folder,) = map(Path, get("plain\n").paths)

    recorded = json.loads((folder.parent / "marker.json").read_text())["content"]["size"]

    blocks = sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
    assert recorded == blocks == file_tree.fingerprint(folder).size
