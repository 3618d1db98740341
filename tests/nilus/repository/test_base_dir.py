"""`repo.baseDir` in both conventions, and what it may not be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from git_fixture import GitRepository

from nilus.errors import RepositoryError
from nilus.repository import Checkout, base_dir

Get = Callable[..., Checkout]


@pytest.fixture
def got(git_repo: Callable[..., GitRepository], get: Get) -> Checkout:
    origin = git_repo(
        {
            "my-custom-sources/orders/source.py": "",
            "examples/source.py": "",
            "docs/page.md": "",
            "source.py": "",
        },
        name="sources.git",
    )
    (origin.path / "link").symlink_to("examples")
    origin.commit()
    return get(origin.url)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("my-custom-sources", "my-custom-sources"),
        ("my-custom-sources/", "my-custom-sources"),
        ("./my-custom-sources/orders", "my-custom-sources/orders"),
        ("my-custom-sources//orders", "my-custom-sources/orders"),
        ("", "."),
        (".", "."),
        ("sources.git", "."),
        ("sources", "."),
        ("sources/my-custom-sources/orders", "my-custom-sources/orders"),
        ("sources.git/examples", "examples"),
        ("link", "link"),
    ],
)
def test_a_folder_is_found_by_its_path_and_behind_the_repositorys_name(got: Checkout, written: str, meant: str) -> None:
    assert base_dir(got, written) == got.path / meant


def test_a_folder_of_the_repository_comes_before_the_repositorys_name(
    git_repo: Callable[..., GitRepository], get: Get
) -> None:
    got = get(git_repo({"sources/sources/a.py": "", "sources/b.py": ""}, name="sources").url)

    assert base_dir(got, "sources") == got.path / "sources"
    assert base_dir(got, "sources/sources") == got.path / "sources" / "sources"
    assert base_dir(got, "sources/sources/sources") == got.path / "sources" / "sources"


def test_a_missing_folder_lists_those_at_the_top_nearest_first(got: Checkout) -> None:
    with pytest.raises(RepositoryError, match="my_custom_source") as caught:
        base_dir(got, "my_custom_source")

    assert caught.value.found.startswith("these at its top: my-custom-sources, ")
    assert all(name in caught.value.found for name in ("docs", "examples"))
    assert got.commit in str(caught.value)
    assert not caught.value.retryable


def test_a_file_is_refused(got: Checkout) -> None:
    with pytest.raises(RepositoryError, match="refused") as caught:
        base_dir(got, "examples/source.py")
    assert "a file" in caught.value.found


@pytest.mark.parametrize(
    "written",
    ["/etc", "/", "..", "../x", "examples/../..", "examples/..", "a\0b", "examples\\orders", "C:\\x", "sources/../x"],
)
def test_a_path_that_could_leave_the_repository_is_refused(got: Checkout, written: str) -> None:
    with pytest.raises(RepositoryError, match="refused"):
        base_dir(got, written)


def test_a_link_that_leaves_is_refused_even_if_it_came_later(
    got: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    got.path.chmod(0o755)
    (got.path / "late").symlink_to(outside)

    with pytest.raises(RepositoryError, match="refused") as caught:
        base_dir(got, "late")
    assert "symbolic link" in caught.value.found
