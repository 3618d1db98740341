"""The main path: an address and a ref in, a read-only folder out."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.git import program
from nilus.git import version as git_version
from nilus.repository import Checkout, Settings, base_dir, checkout, checkout_from_cache, default_cache_dir

Get = Callable[..., Checkout]
Read = Callable[[Path], dict[str, str]]


def test_the_checkout_holds_the_files_of_the_commit_and_nothing_of_gits(
    origin: GitRepository, get: Get, read_files: Read, settings: Settings
) -> None:
    got = get(origin.url)

    assert read_files(got.path) == {"source.py": "first\n", "folder/data.txt": "data\n"}
    assert got.commit in got.path.parts
    assert got.path.is_relative_to(settings.cache_dir / "git-v1")
    assert (got.url, got.cached) == (origin.url, False)


def test_the_second_checkout_comes_out_of_the_cache(origin: GitRepository, get: Get) -> None:
    first, second = get(origin.url), get(origin.url, "main")

    assert (first.cached, second.cached) == (False, True)
    assert first.path == second.path


def test_a_cached_hash_needs_neither_network_nor_git(
    origin: GitRepository, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = get(origin.url).commit
    origin.path.rename(origin.path.with_name("moved-away"))
    monkeypatch.setenv("PATH", "/nowhere")

    got = get(origin.url, commit)

    assert got.cached
    assert (got.path / "source.py").read_text() == "first\n"


def test_everything_in_the_checkout_is_read_only_and_programs_stay_programs(origin: GitRepository, get: Get) -> None:
    origin.write({"run.sh": "#!/bin/sh\n"})
    (origin.path / "run.sh").chmod(0o755)
    origin.commit()

    got = get(origin.url)

    for path in (got.path, *got.path.rglob("*")):
        assert not path.stat().st_mode & 0o222, path
    assert (got.path / "run.sh").stat().st_mode & stat.S_IXUSR
    assert not (got.path / "source.py").stat().st_mode & stat.S_IXUSR


def test_the_log_says_what_the_ref_meant_and_where_the_files_came_from(
    origin: GitRepository, get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nilus.repository")
    commit = get(origin.url, "main").commit
    get(origin.url, commit)

    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == f"{origin.url}: main is {commit} (refs/heads/main)."
    assert lines[1].startswith(f"{origin.url}: the commit {commit} was fetched (")
    assert lines[2].startswith(f"{origin.url}: the commit {commit} was in the cache (")


def test_another_commit_than_the_expected_one_is_refused_before_anything_is_fetched(
    origin: GitRepository, get: Get, settings: Settings
) -> None:
    old = origin.head
    new = origin.commit({"source.py": "second\n"})

    with pytest.raises(RepositoryError, match="not at the expected commit") as caught:
        get(origin.url, "main", expected_commit=old)

    assert caught.value.expected == old
    assert new in caught.value.found
    assert not caught.value.retryable
    assert not settings.cache_dir.exists()
    assert get(origin.url, "main", expected_commit=new.upper()).commit == new


def test_an_expected_commit_also_binds_a_checkout_that_is_in_the_cache(
    origin: GitRepository, get: Get, settings: Settings
) -> None:
    cached = get(origin.url).commit
    other = "0" * 40

    assert checkout_from_cache(origin.url, cached, settings=settings, expected_commit=other) is None
    with pytest.raises(RepositoryError, match="not at the expected commit"):
        get(origin.url, cached, expected_commit=other)
    found = checkout_from_cache(origin.url, cached, settings=settings, expected_commit=cached)
    assert found is not None
    found.release()


def test_an_expected_commit_that_is_not_a_full_hash_is_refused(origin: GitRepository, get: Get) -> None:
    with pytest.raises(RepositoryError, match="not a full hash"):
        get(origin.url, expected_commit=origin.head[:12])


@pytest.mark.parametrize(
    "options",
    [
        {"depth": -1},
        {"submodules": "on"},
        {"filter": "sparse:oid=x"},
        {"filter": "--upload-pack=x"},
        {"sparse_checkout_file": "../list"},
        {"sparse_checkout_file": "/etc/passwd"},
        {"timeout": 0},
        {"timeout": float("nan")},
    ],
    ids=str,
)
def test_options_with_values_they_cannot_have_are_refused_before_git_is_asked(
    options: dict[str, object], get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RepositoryError, match=r"not allowed|not a time"):
        get("https://example.com/repo", "main", **options)


def test_a_filter_that_the_server_does_not_know_makes_no_difference(
    origin: GitRepository, get: Get, read_files: Read, git_server: Any
) -> None:
    assert read_files(get(git_server.url(), filter="blob:none").path) == read_files(get(origin.url).path)


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("filter_spec", [None, "blob:none", "tree:0"])
def test_depth_and_filter_change_what_is_fetched_never_what_is_checked_out(
    origin: GitRepository, get: Get, read_files: Read, depth: int, filter_spec: str | None
) -> None:
    origin.commit({"source.py": "second\n"})
    origin.git("config", "uploadpack.allowFilter", "true")

    got = get(origin.url, depth=depth, filter=filter_spec)

    assert read_files(got.path) == {"source.py": "second\n", "folder/data.txt": "data\n"}


def test_a_sparse_checkout_file_of_the_repository_chooses_the_files(
    origin: GitRepository, get: Get, read_files: Read
) -> None:
    origin.commit({"lists/sparse": "/folder/\n!/folder/not.txt\n", "folder/not.txt": "not\n"})

    got = get(origin.url, sparse_checkout_file="lists/sparse")
    whole = get(origin.url)

    assert read_files(got.path) == {"folder/data.txt": "data\n"}
    assert "source.py" in read_files(whole.path)
    assert got.path != whole.path


def test_a_missing_sparse_checkout_file_is_an_error(origin: GitRepository, get: Get) -> None:
    with pytest.raises(RepositoryError, match="has no file lists/sparse"):
        get(origin.url, sparse_checkout_file="lists/sparse")


def test_files_in_lfs_are_said_to_be_pointers(
    origin: GitRepository, get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    origin.commit({"data/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    with caplog.at_level(logging.WARNING, "nilus.repository"):
        get(origin.url)
    assert "data/.gitattributes keeps files in Git LFS" in caplog.text


def test_line_ends_and_odd_names_come_as_they_are(origin: GitRepository, get: Get) -> None:
    name = "a b\t'\"ö"
    origin.commit({name: "x", "crlf.txt": b"one\r\ntwo\n", "bytes.bin": bytes(range(256))})

    got = get(origin.url)

    assert (got.path / name).read_text() == "x"
    assert (got.path / "crlf.txt").read_bytes() == b"one\r\ntwo\n"
    assert (got.path / "bytes.bin").read_bytes() == bytes(range(256))


def test_links_inside_the_repository_stay_links(origin: GitRepository, get: Get) -> None:
    (origin.path / "folder" / "link.py").symlink_to("../source.py")
    (origin.path / "dangling").symlink_to("folder/missing")
    origin.commit()

    got = get(origin.url)

    assert (got.path / "folder" / "link.py").read_text() == "first\n"
    assert (got.path / "dangling").is_symlink()


@pytest.mark.parametrize("target", ["../../outside", "/etc/passwd", "folder/../../x", "."])
def test_links_that_leave_the_repository_are_refused(
    origin: GitRepository, get: Get, target: str, settings: Settings
) -> None:
    (origin.path / "link").symlink_to(target)
    commit = origin.commit()

    if target == ".":
        assert get(origin.url).commit == commit
        return
    with pytest.raises(RepositoryError, match="leads out of the repository") as caught:
        get(origin.url)
    assert caught.value.found == f"link -> {target}"
    assert not list(settings.cache_dir.glob("git-v1/*/*/checkout"))
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))


def test_a_link_that_leaves_by_another_link_is_refused(origin: GitRepository, get: Get) -> None:
    (origin.path / "deep").mkdir()
    (origin.path / "deep" / "up").symlink_to("..")
    (origin.path / "out").symlink_to("deep/up/../outside")
    origin.commit()

    with pytest.raises(RepositoryError, match="leads out"):
        get(origin.url)


@pytest.mark.parametrize("what", ["baseDir", "baseDir/requirements.txt", "baseDir/module.py"])
def test_no_folder_list_of_requirements_or_module_can_be_a_link_that_leaves(
    origin: GitRepository, get: Get, tmp_path: Path, settings: Settings, what: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret of the machine\n")
    link = origin.path / what
    link.parent.mkdir(exist_ok=True)
    target = outside if what == "baseDir" else outside / "file"
    link.symlink_to(f"{'../' * 30}{target.relative_to('/')}")
    origin.commit()

    with pytest.raises(RepositoryError, match="leads out of the repository") as caught:
        get(origin.url)

    assert caught.value.found.startswith(f"{what} -> ")
    assert not list(settings.cache_dir.rglob("file"))


def test_names_that_differ_only_in_letter_case_both_come(origin: GitRepository, get: Get, read_files: Read) -> None:
    origin.commit({"Source.py": "other\n", "FOLDER/data.txt": "other\n"})

    files = read_files(get(origin.url).path)

    assert files == {
        "source.py": "first\n",
        "Source.py": "other\n",
        "folder/data.txt": "data\n",
        "FOLDER/data.txt": "other\n",
    }


def tree_of(origin: GitRepository, *names: str) -> str:
    """A tree with one file, whatever its path: the working tree would not take every one."""
    tree, mode, kind = origin.git("hash-object", "-w", "source.py"), "100644", "blob"
    for name in reversed(names):
        entry = f"{mode} {kind} {tree}\t{name}\n"
        tree = subprocess.run(
            ["git", "mktree"], cwd=origin.path, input=entry, capture_output=True, text=True, check=True
        ).stdout.strip()
        mode, kind = "040000", "tree"
    return tree


@pytest.mark.parametrize(
    "names",
    [("d",) * 700 + ("file",), ("d" * 255,) * 15 + ("f" * 255,), ("folder", "f" * 256), ("d" * 300, "file")],
    ids=["1,404 characters", "4,095 characters", "a long file", "a long folder"],
)
def test_a_path_that_is_too_long_is_refused_before_it_is_written(
    origin: GitRepository, get: Get, settings: Settings, names: tuple[str, ...]
) -> None:
    commit = origin.git("commit-tree", "-m", "deep", tree_of(origin, *names))
    origin.git("update-ref", "refs/heads/deep", commit)

    with pytest.raises(RepositoryError, match="path that is too long") as caught:
        get(origin.url, "deep")
    assert not caught.value.retryable
    assert len(str(caught.value)) < 1000
    assert not list(settings.cache_dir.glob("git-v1/staging/*"))


def test_a_path_as_long_as_may_be_is_taken(origin: GitRepository, get: Get) -> None:
    names = ("d" * 255,) * 3 + ("f" * 255,)
    origin.git("update-ref", "refs/heads/deep", origin.git("commit-tree", "-m", "x", tree_of(origin, *names)))

    assert (get(origin.url, "deep").path / "/".join(names)).read_text() == "first\n"


@pytest.mark.parametrize("text", ["x" * 4096, "x/" * 2048, "x" * 300], ids=["a name", "a path", "a shorter name"])
def test_long_words_of_the_author_are_errors_of_ours(origin: GitRepository, get: Get, text: str) -> None:
    for arguments in ({"ref": text}, {"url": f"https://example.com/{text}"}, {"sparse_checkout_file": text}):
        if len(text) == 300 and "url" in arguments:
            continue
        with pytest.raises(RepositoryError):
            get(**{"url": origin.url, **arguments})
    with pytest.raises(RepositoryError, match="refused") as caught:
        base_dir(get(origin.url), text)
    assert len(str(caught.value)) < 1000


def test_a_machine_without_git_is_told_the_package(
    origin: GitRepository, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RepositoryError, match="There is no git") as caught:
        get(origin.url)
    assert "packages.txt" in caught.value.remedy
    assert "apt-get install git" in caught.value.remedy
    assert not caught.value.retryable


def test_a_git_that_is_too_old_is_refused_with_both_versions(
    origin: GitRepository, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho git version 2.25.1\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(RepositoryError, match="too old") as caught:
        get(origin.url)
    assert caught.value.expected == "version 2.31 or newer"
    assert caught.value.found == "git version 2.25.1"


@pytest.mark.parametrize(
    ("version", "patched"),
    [
        ((2, 39, 5), False),
        ((2, 43, 6), False),
        ((2, 43, 7), True),
        ((2, 50, 0), False),
        ((2, 50, 1), True),
        ((2, 51, 0), True),
        ((3, 0, 0), True),
    ],
)
def test_versions_with_the_fixes_for_hostile_submodules_are_known(version: tuple[int, ...], patched: bool) -> None:
    assert git_version.is_patched(version) is patched


def test_the_version_of_this_machines_git_is_read() -> None:
    shown = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout
    assert ".".join(map(str, git_version.check_version(program.find_git()))) in shown


def test_the_default_cache_is_below_the_users_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "xdg" / "airflow-provider-nilus"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache_dir() == Path.home() / ".cache" / "airflow-provider-nilus"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "airflow-provider-nilus"
    assert not default_cache_dir().exists()


def test_a_user_without_a_home_is_told_to_set_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)

    with pytest.raises(RepositoryError, match="no home directory") as caught:
        default_cache_dir()
    assert "cache_dir" in caught.value.remedy


def test_a_relative_cache_directory_works(
    origin: GitRepository, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with checkout(origin.url, settings=dataclasses.replace(settings, cache_dir=Path("here"))) as got:
        assert got.path.is_relative_to(tmp_path / "here")


def test_importing_it_imports_neither_git_nor_dlt() -> None:
    code = (
        "import sys, nilus.repository\n"
        "print([name for name in ('git', 'dlt', 'duckdb', 'pyarrow', 'airflow') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_a_checkout_outlives_nothing_it_does_not_need(origin: GitRepository, settings: Settings) -> None:
    with checkout(origin.url, settings=settings) as got:
        entry = got.path.parent
        assert sorted(path.name for path in entry.iterdir()) == ["checkout", "marker.json", "use.lock"]
    assert not list((settings.cache_dir / "git-v1" / "staging").iterdir())


def test_the_example_in_the_documentation_runs(
    origin: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[3] / "docs" / "repositories.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)

    exec(compile(code, str(page), "exec"), {"url": origin.url})

    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"{origin.head} refs/heads/main"
    assert shown[1].endswith("/checkout/folder")


def test_a_commit_whose_small_pack_is_a_large_checkout_is_refused_before_it_is_written(
    origin: GitRepository, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nilus.repository import work_tree

    origin.commit({f"{number}.bin": "0" * 300_000 for number in range(10)})
    with checkout(origin.url, settings=settings) as whole:
        assert len(list(whole.path.glob("*.bin"))) == 10
    monkeypatch.setattr(work_tree, "MOST_BYTES", 2_000_000)
    origin.commit({"more.bin": "1" * 300_000})
    with pytest.raises(RepositoryError, match="is too large to be checked out") as caught:
        checkout(origin.url, settings=settings)
    assert not caught.value.retryable
    assert not list(settings.cache_dir.rglob("more.bin"))
