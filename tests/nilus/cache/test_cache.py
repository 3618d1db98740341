"""What the cache promises: whole entries only, none lost while in use, room given back, clear words otherwise."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.cache import file_tree
from nilus.cache.entries import Cache, Entry
from nilus.cache.file_lock import FileLock
from nilus.cache.staging import Staging
from nilus.errors import DependencyError, RepositoryError
from nilus.programs.deadline import Deadline
from nilus.repository import Checkout, Settings, checkout

Get = Callable[..., Checkout]
LOG = logging.getLogger("nilus.repository")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache" / "things-v1", content="thing", error=DependencyError, log=LOG)


def make(text: str = "content", size: int = 0) -> Callable[[Path, Staging], dict[str, Any]]:
    def fill(folder: Path, _: Staging) -> dict[str, Any]:
        (folder / "file").write_text(text)
        (folder / "padding").write_bytes(b"x" * size)
        return {"text": text}

    return fill


def never(folder: Path, staging: Staging) -> dict[str, Any]:
    raise AssertionError("made again")


def staged(root: Path) -> list[Path]:
    return list((root / "staging").iterdir())


def test_what_was_made_is_found_with_what_its_marker_remembers(cache: Cache) -> None:
    assert cache.look("a/b") is None
    with cache.get("a/b", make(), what="it", deadline=Deadline(10)) as made:
        assert made.made
    with cache.get("a/b", never, what="it", deadline=Deadline(10)) as found:
        assert not found.made
        assert (found.path / "file").read_text() == "content"
        assert found.details == {"text": "content"}
    assert staged(cache.root) == []


def test_a_maker_that_fails_leaves_nothing_and_its_error_comes_through(cache: Cache) -> None:
    def fail(folder: Path, _: Staging) -> dict[str, Any]:
        (folder / "half").write_text("half")
        raise DependencyError("no such package")

    with pytest.raises(DependencyError, match="no such package"):
        cache.get("a/b", fail, what="it", deadline=Deadline(10))

    assert cache.look("a/b") is None
    assert staged(cache.root) == []
    assert not (cache.root / "a" / "b").exists()


def use(cache: Cache, key: str = "a/b", maker: Any = None) -> Entry:
    return cache.get(key, maker or make(), what="it", deadline=Deadline(10))


def _with_a_link(folder: Path, _: Staging) -> dict[str, Any]:
    (folder / "file").write_text("first\n")
    (folder / "other").write_text("other\n")
    (folder / "link").symlink_to("file")
    return {}


def _change_a_file(entry: Path) -> None:
    (entry / "thing" / "file").write_text("chang\n")
    os.utime(entry / "thing" / "file", (1, 1))


def _shorten_a_file(entry: Path) -> None:
    file = entry / "thing" / "file"
    status = file.stat()
    file.write_text("")
    os.utime(file, (status.st_atime, status.st_mtime))


def _retarget_a_link(entry: Path) -> None:
    (entry / "thing" / "link").unlink()
    (entry / "thing" / "link").symlink_to("other")


def _rewrite_the_marker(entry: Path) -> None:
    document = json.loads((entry / "marker.json").read_text())
    (entry / "marker.json").write_text(json.dumps(document | {"key": "another/one"}))


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "a file is missing": lambda entry: (entry / "thing" / "file").unlink(),
    "a file was changed": _change_a_file,
    "a file is empty": _shorten_a_file,
    "a file was added": lambda entry: (entry / "thing" / "more.py").write_text("more"),
    "a link leads elsewhere": _retarget_a_link,
    "the marker is another entry's": _rewrite_the_marker,
    "the marker is missing": lambda entry: (entry / "marker.json").unlink(),
    "the marker is cut off": lambda entry: (entry / "marker.json").write_text("{"),
    "the marker is a list": lambda entry: (entry / "marker.json").write_text("[]"),
    "the lock is missing": lambda entry: (entry / "use.lock").unlink(),
    "the content is missing": lambda entry: file_tree.remove(entry / "thing"),
    "all of it is missing": lambda entry: [file_tree.remove(path) for path in entry.iterdir()],
}


@pytest.mark.parametrize("damage", BREAKAGES)
def test_a_broken_entry_is_made_again(damage: str, cache: Cache) -> None:
    with use(cache, maker=_with_a_link) as first:
        entry = first.path.parent
    BREAKAGES[damage](entry)

    with use(cache, maker=_with_a_link) as again:
        assert again.made
        assert again.path.parent == entry
        assert (again.path / "link").read_text() == "first\n"
        assert sorted(path.name for path in again.path.iterdir()) == ["file", "link", "other"]
    assert not use(cache, maker=never).made
    assert staged(cache.root) == []


def test_a_broken_entry_that_is_in_use_stays_and_the_next_task_gets_its_own(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    with use(cache) as user:
        (user.path / "more.py").touch()
        with use(cache) as other:
            assert other.path != user.path
            assert not (other.path / "more.py").exists()
            # A third one does not take what belongs to the second for a leftover.
            with use(cache) as third:
                assert (other.path / "file").read_text() == "content"
                assert third.path not in (user.path, other.path)
        assert not other.path.exists()
        assert (user.path / "more.py").exists()
    with use(cache) as healed:
        assert healed.path == user.path
        assert not (healed.path / "more.py").exists()
    assert "is in use: this run keeps one of its own" in caplog.text


def test_a_process_that_waits_for_another_says_so_and_gives_up_in_time(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    use(cache, "c/d").release()
    lock = FileLock(cache._key_lock("a/b").path)
    assert lock.try_acquire()

    with pytest.raises(DependencyError, match="Another process is still making it") as caught:
        cache.get("a/b", never, what="it", deadline=Deadline(1.5))

    assert caught.value.retryable
    assert "Waiting for another process that is making it" in caplog.text
    lock.release()
    assert use(cache).made


# How the wings use it: one test for each, with what they put there.


def test_a_broken_checkout_is_made_again(origin: GitRepository, settings: Settings) -> None:
    with checkout(origin.url, settings=settings) as first:
        first.path.chmod(0o755)
        (first.path / "source.py").unlink()
    with checkout(origin.url, settings=settings) as again:
        assert not again.cached
        assert (again.path / "source.py").read_text() == "first\n"
    with checkout(origin.url, settings=settings) as healed:
        assert healed.cached
    assert staged(settings.cache_dir / "git-v1") == []


def test_byte_code_that_was_added_to_a_checkout_makes_it_another(origin: GitRepository, settings: Settings) -> None:
    with checkout(origin.url, settings=settings) as got:
        got.path.chmod(0o755)
        (got.path / "__pycache__").mkdir()
        (got.path / "__pycache__" / "source.cpython-311.pyc").write_bytes(b"x")
    with checkout(origin.url, settings=settings) as again:
        assert not again.cached
        assert not (again.path / "__pycache__").exists()


def test_a_cache_copied_into_an_image_is_as_good_as_the_one_it_came_from(
    origin: GitRepository, settings: Settings, tmp_path: Path
) -> None:
    with checkout(origin.url, settings=settings) as got:
        commit = got.commit
    archive = tmp_path / "cache.tar"
    subprocess.run(["tar", "-C", settings.cache_dir, "-cf", archive, "."], check=True)
    (tmp_path / "image").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "image", "-xf", archive], check=True)

    with checkout(
        origin.url, commit, settings=dataclasses.replace(settings, cache_dir=tmp_path / "image")
    ) as from_image:
        assert from_image.cached


def test_leftovers_of_ended_processes_are_removed_and_those_of_living_ones_stay(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache.get("a/b", make(), what="it", deadline=Deadline(10)).release()
    root = cache.root / "staging"
    dead = root / "dead"
    (dead / "entry" / "thing").mkdir(parents=True)
    (dead / "lock").touch()
    (dead / "entry" / "thing" / "file").write_text("x")
    file_tree.make_read_only(dead / "entry")
    young, old = root / "young", root / "old"
    young.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 3600,) * 2)
    alive = Staging(root)

    cache.get("c/d", make(), what="it", deadline=Deadline(10)).release()

    assert sorted(staged(cache.root)) == sorted([young, alive.folder])
    assert "Removed 2 unfinished folders" in caplog.text
    alive.discard(LOG)
    assert staged(cache.root) == [young]


def test_a_staging_folder_that_a_sweep_took_for_a_dead_one_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep may come between the making of the lock file and the locking of it."""
    original = FileLock.try_acquire
    swept: list[Path] = []

    def swept_first(lock: FileLock, *, shared: bool = False) -> bool:
        if not swept:
            swept.append(lock.path.parent)
            file_tree.remove(lock.path.parent)
        return original(lock, shared=shared)

    monkeypatch.setattr(FileLock, "try_acquire", swept_first)
    staging = Staging(tmp_path)

    assert staging.folder.is_dir()
    assert swept != [staging.folder]
    staging.discard(LOG)


@pytest.fixture
def three(cache: Cache) -> dict[str, int]:
    """Three entries of about 100, 200 and 300 kB, used in this order; the room each takes."""
    sizes = {}
    for number, key in enumerate(("a/1", "b/2", "c/3"), 1):
        with cache.get(key, make(key, number * 100_000), what=key, deadline=Deadline(10)) as entry:
            sizes[key] = file_tree.fingerprint(entry.path).size
        os.utime(cache.root / key / "marker.json", (number, number))
    return sizes


def present(cache: Cache) -> set[str]:
    return {path.parent.relative_to(cache.root).as_posix() for path in cache.root.glob("*/*/marker.json")}


def test_the_least_recently_used_goes_first_and_no_more_than_must(cache: Cache, three: dict[str, int]) -> None:
    cache.prune(sum(three.values()))
    assert present(cache) == {"a/1", "b/2", "c/3"}

    cache.prune(sum(three.values()) - 1)
    assert present(cache) == {"b/2", "c/3"}


def test_a_use_makes_an_entry_recent(cache: Cache, three: dict[str, int]) -> None:
    cache.get("a/1", never, what="it", deadline=Deadline(10)).release()

    cache.prune(three["a/1"] + three["c/3"])

    assert present(cache) == {"a/1", "c/3"}


def test_an_entry_in_use_is_never_pruned(cache: Cache, three: dict[str, int]) -> None:
    used = cache.get("a/1", never, what="it", deadline=Deadline(10))
    os.utime(cache.root / "a" / "1" / "marker.json", (1, 1))

    cache.prune(0)
    assert present(cache) == {"a/1"}
    assert (used.path / "file").read_text() == "a/1"

    used.release()
    cache.prune(0)
    assert present(cache) == set()
    assert staged(cache.root) == []


def test_an_entry_that_was_never_finished_is_pruned_like_one_that_is_old(cache: Cache, three: dict[str, int]) -> None:
    (cache.root / "c" / "3" / "marker.json").unlink()

    cache.prune(three["a/1"] + three["b/2"])

    assert not (cache.root / "c" / "3").exists()
    assert present(cache) == {"a/1", "b/2"}


def test_checkouts_are_pruned_to_the_size_the_deployment_sets(origin: GitRepository, settings: Settings) -> None:
    small = dataclasses.replace(settings, cache_max_bytes=1)
    with checkout(origin.url, settings=small) as first:
        origin.commit({"source.py": "second\n"})
        with checkout(origin.url, settings=small) as second:
            assert (first.path / "source.py").read_text() == "first\n"
        origin.commit({"source.py": "third\n"})
        with checkout(origin.url, settings=small) as third:
            assert (first.path / "source.py").read_text() == "first\n"
            assert not second.path.exists()
            assert (third.path / "source.py").read_text() == "third\n"


def test_released_twice_is_released_once(origin: GitRepository, settings: Settings) -> None:
    got = checkout(origin.url, settings=settings)
    got.release()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    got.release()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_no_file_descriptor_is_left_open(origin: GitRepository, settings: Settings) -> None:
    checkout(origin.url, settings=settings).release()
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    for _ in range(3):
        origin.commit({"source.py": f"{_}\n"})
        checkout(origin.url, settings=settings).release()
        with pytest.raises(RepositoryError):
            checkout(origin.url, "missing", settings=settings)
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)


def test_the_cache_is_for_its_user_only_and_says_what_it_is(origin: GitRepository, settings: Settings) -> None:
    with checkout(origin.url, settings=settings):
        pass
    root = settings.cache_dir / "git-v1"
    assert root.stat().st_mode & 0o777 == 0o700
    assert "airflow-provider-nilus" in (root / "README.txt").read_text()
    assert (root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_a_cache_others_can_write_is_refused(origin: GitRepository, settings: Settings, mode: int) -> None:
    (settings.cache_dir / "git-v1").mkdir(parents=True)
    (settings.cache_dir / "git-v1").chmod(mode)

    with pytest.raises(RepositoryError, match="not safe to run code from") as caught:
        checkout(origin.url, settings=settings)
    assert "others may write it" in caught.value.found
    assert not caught.value.retryable


@pytest.mark.skipif(os.geteuid() != 0, reason="MISSING: root, to make a folder of another user's")
def test_a_cache_of_another_user_is_refused(origin: GitRepository, settings: Settings) -> None:
    root = settings.cache_dir / "git-v1"
    root.mkdir(parents=True, mode=0o700)
    os.chown(root, 12345, 12345)

    with pytest.raises(RepositoryError, match="not safe") as caught:
        checkout(origin.url, settings=settings)
    assert "12345" in caught.value.found


@pytest.mark.skipif(os.geteuid() != 0, reason="MISSING: root, to make a folder of another user's")
@pytest.mark.parametrize("way", ["direct", "far above", "through a link"])
@pytest.mark.parametrize(("owner", "mode"), [(12345, 0o755), (0, 0o777), (12345, 0o1777), (0, 0o757)])
def test_a_cache_in_a_folder_that_others_can_change_is_refused(
    origin: GitRepository, settings: Settings, tmp_path: Path, way: str, owner: int, mode: int
) -> None:
    above = tmp_path / "above"
    cache = above / "deeper" / "cache" if way == "far above" else above / "cache"
    cache.mkdir(parents=True, mode=0o700)
    os.chown(above, owner, owner)
    above.chmod(mode)
    if way == "through a link":
        (tmp_path / "link").symlink_to(cache)
        cache = tmp_path / "link"

    with pytest.raises(RepositoryError, match="not safe to run code from") as caught:
        checkout(origin.url, settings=dataclasses.replace(settings, cache_dir=cache))
    assert str(above) in caught.value.found
    assert not caught.value.retryable


@pytest.mark.parametrize("mode", [0o1777, 0o755, 0o711])
def test_a_cache_in_a_folder_that_only_its_user_can_change_is_used(
    origin: GitRepository, settings: Settings, tmp_path: Path, mode: int
) -> None:
    (tmp_path / "above").mkdir()
    (tmp_path / "above").chmod(mode if os.geteuid() == 0 else mode & 0o777 & ~0o022)
    with checkout(origin.url, settings=dataclasses.replace(settings, cache_dir=tmp_path / "above" / "cache")) as got:
        assert got.commit


def test_a_cache_that_is_a_link_is_refused(origin: GitRepository, settings: Settings, tmp_path: Path) -> None:
    settings.cache_dir.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (settings.cache_dir / "git-v1").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(RepositoryError, match="not safe") as caught:
        checkout(origin.url, settings=settings)
    assert caught.value.found == "it is not a folder"


def test_a_cache_where_a_file_is_in_the_way_is_a_clear_error(
    origin: GitRepository, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(RepositoryError, match="cannot be used") as caught:
        checkout(origin.url, settings=settings)
    assert "cache_dir" in caught.value.remedy


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    """Become a user without rights until the end of the test; does nothing for one who is no root."""
    user = os.geteuid()

    def become() -> None:
        if user == 0:
            os.seteuid(65534)

    yield become
    os.seteuid(user)


def test_a_read_only_cache_serves_what_it_has_and_says_what_it_cannot(
    origin: GitRepository,
    settings: Settings,
    tmp_path: Path,
    as_nobody: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with checkout(origin.url, settings=settings) as got:
        commit = got.commit
    # As in an image: root's, readable by all, writable by none.
    for path in [settings.cache_dir, *settings.cache_dir.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222 | (0o555 if path.is_dir() else 0o444))
    for path in [tmp_path, *tmp_path.parents]:
        if path.owner() == "root" and path != Path("/") and "pytest" in str(path):
            path.chmod(0o755)
    as_nobody()

    with checkout(origin.url, commit, settings=settings) as cached:
        assert cached.cached
        assert (cached.path / "source.py").read_text() == "first\n"
    with pytest.raises(RepositoryError, match=r"cannot be used: Permission denied") as caught:
        checkout(origin.url, "0" * 40, settings=settings)
    assert "cache_dir" in caught.value.remedy
    assert not caught.value.retryable
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("number", "words", "retryable"),
    [
        (errno.ENOSPC, "Free some space", True),
        (errno.EROFS, "may be written", False),
        (errno.ENOLCK, "file locks", False),
        (errno.EIO, "Look at this folder", True),
    ],
)
def test_a_disk_that_fails_is_a_clear_error_and_leaves_nothing(
    cache: Cache, number: int, words: str, retryable: bool
) -> None:
    def fail(folder: Path, _: Staging) -> dict[str, Any]:
        (folder / "half").write_text("half")
        raise OSError(number, os.strerror(number), str(folder / "half"))

    with pytest.raises(DependencyError, match="cannot be used") as caught:
        cache.get("a/b", fail, what="it", deadline=Deadline(10))

    assert words in caught.value.remedy
    assert caught.value.retryable is retryable
    assert caught.value.__suppress_context__
    assert staged(cache.root) == []


def test_a_disk_that_is_full_under_git_is_a_clear_error(
    origin: GitRepository, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\nif test "$1" = fetch; then\n'
        "echo 'fatal: write error: No space left on device' >&2; exit 128; fi\n"
        f"exec '{real}' \"$@\"\n"
    )
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(RepositoryError, match="the disk is full") as caught:
        checkout(origin.url, settings=settings)
    assert "cache_max_bytes" in caught.value.remedy
    assert staged(settings.cache_dir / "git-v1") == []


@pytest.mark.parametrize("winner_is_whole", [True, False])
def test_a_race_lost_in_spite_of_the_lock_ends_with_one_whole_entry(cache: Cache, winner_is_whole: bool) -> None:
    """On a disk whose locks do not work, another process may put its entry there first."""

    def lose(folder: Path, staging: Staging) -> dict[str, Any]:
        make("loser")(folder, staging)
        other = Cache(cache.root, content="thing", error=DependencyError, log=LOG)
        winner = Staging(cache.root / "staging")
        content = winner.folder / "entry" / "thing"
        content.mkdir(parents=True)
        details = make("winner")(content, winner)
        marker = {"format": 1, "key": "a/b", "content": file_tree.fingerprint(content).as_dict(), "details": details}
        published = other._publish("a/b", winner, marker)
        assert published is not None
        published.release()
        winner.discard(LOG)
        if not winner_is_whole:
            (cache.root / "a" / "b" / "marker.json").unlink()
        return {"text": "loser"}

    with cache.get("a/b", lose, what="it", deadline=Deadline(10)) as entry:
        assert (entry.path / "file").read_text() == ("winner" if winner_is_whole else "loser")
        assert entry.path == cache.root / "a" / "b" / "thing"
    assert staged(cache.root) == []


@pytest.mark.parametrize(
    ("target", "leads_out"), [("file", False), ("folder/../file", False), ("../outside", True), ("{root}/file", True)]
)
def test_a_link_leads_out_of_a_folder_if_it_is_absolute_or_ends_elsewhere(
    target: str, leads_out: bool, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "file").touch()
    (tmp_path / "outside").touch()
    target = target.format(root=root)
    (root / "link").symlink_to(target)

    assert file_tree.outward_link(root) == (("link", target) if leads_out else None)


def test_a_tree_deeper_than_pythons_stack_is_walked_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    deepest = folder
    for _ in range(1100):
        deepest = deepest / "d"
        deepest.mkdir()

    file_tree.make_read_only(folder)
    assert file_tree.fingerprint(folder).files == 0
    assert file_tree.outward_link(folder) is None
    file_tree.remove(folder)

    assert not folder.exists()
