"""A repository of 200 MB: what is not needed is not fetched."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.repository import Checkout, Settings

Get = Callable[..., Checkout]

VERSIONS = 10
FILES = 2
FILE_BYTES = 10_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """Ten commits, each with new versions of two files of 10 MB that do not compress: 20 MB a commit."""
    path = tmp_path_factory.mktemp("git") / "large"
    path.mkdir()
    repository = GitRepository(path)
    repository.git("init", "--quiet", "--template=", "--initial-branch=main")
    for option in ("core.compression 0", "core.bigFileThreshold 1m", "uploadpack.allowFilter true"):
        repository.git("config", *option.split())
    numbers = random.Random(1)
    for version in range(VERSIONS):
        files: dict[str, str | bytes] = {f"data/{number}.bin": numbers.randbytes(FILE_BYTES) for number in range(FILES)}
        repository.commit({**files, "source.py": f"version = {version}\n", "sparse": "/source.py\n"})
    return repository


@pytest.fixture
def server(large: GitRepository, git_server: Any) -> Any:
    git_server.serve(large, "large")
    return git_server


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_only_the_files_of_one_commit_are_fetched(server: Any, get: Get, settings: Settings, large: Any) -> None:
    assert size_of(large.path / ".git") > 200_000_000

    got = get(server.url("large"))

    commit = FILES * FILE_BYTES
    assert commit < server.sent < 1.1 * commit
    assert commit < size_of(got.path) < 1.1 * commit
    assert size_of(settings.cache_dir) < 1.1 * commit
    assert (got.path / "source.py").read_text() == f"version = {VERSIONS - 1}\n"


def test_an_older_commit_costs_no_more(server: Any, get: Get, large: Any) -> None:
    got = get(server.url("large"), large.git("rev-parse", f"HEAD~{VERSIONS - 2}"))

    assert server.sent < 1.1 * FILES * FILE_BYTES
    assert (got.path / "source.py").read_text() == "version = 1\n"


def test_with_a_filter_what_is_not_checked_out_is_not_fetched(server: Any, get: Get) -> None:
    got = get(server.url("large"), filter="blob:none", sparse_checkout_file="sparse")

    assert server.sent < 100_000
    assert [path.name for path in got.path.iterdir()] == ["source.py"]


def test_the_cache_stays_in_its_bounds(server: Any, get: Get, large: Any, settings: Settings) -> None:
    commit = FILES * FILE_BYTES
    small = Settings(**{**vars(settings), "cache_max_bytes": int(2.5 * commit)})
    for back in range(4):
        with get(server.url("large"), large.git("rev-parse", f"HEAD~{back}"), settings=small):
            pass
        assert size_of(settings.cache_dir) < 3.1 * commit


def test_all_of_it_is_fetched_where_that_is_asked_for_and_history_is_not_kept(
    server: Any, get: Get, settings: Settings
) -> None:
    got = get(server.url("large"), depth=0)

    assert server.sent > 200_000_000
    assert size_of(got.path) < 1.1 * FILES * FILE_BYTES
    assert size_of(settings.cache_dir) < 1.1 * FILES * FILE_BYTES
    assert list((settings.cache_dir / "git-v1" / "staging").iterdir()) == []
