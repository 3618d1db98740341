"""Requirements that contradict what is installed: explained before anything runs."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from nilus.environment import Environment, EnvironmentSettings, conflicts
from nilus.environment.python.installed_packages import InstalledPackages
from nilus.environment.requirements import file
from nilus.errors import DependencyError

Get = Callable[..., Environment]

REQUESTS = importlib.metadata.version("requests")


def _owners(name: str) -> list[str]:
    """Return the installed packages that need one, each with its requirement."""
    needs = [
        (distribution.name, Requirement(text))
        for distribution in importlib.metadata.distributions()
        for text in distribution.requires or []
    ]
    return [f"{owner} ({need})" for owner, need in needs if need.name == name and need.marker is None]


def test_a_contradiction_names_the_line_the_installed_version_its_owners_and_both_remedies(
    index: Any, get: Get, settings: EnvironmentSettings
) -> None:
    with pytest.raises(DependencyError) as caught:
        get("# tools\nattrs\nrequests==2.20.0\n")

    error = caught.value
    assert error.message == (
        f"sources/requirements.txt:3: requests==2.20.0 contradicts what is installed, requests {REQUESTS}."
    )
    assert f"sources/requirements.txt:3: requests==2.20.0; installed is requests {REQUESTS}, needed by" in error.found
    assert any(owner in error.found for owner in _owners("requests"))
    assert f"so that requests {REQUESTS} will do" in error.remedy
    assert "change the image of the workers so that requests==2.20.0 is installed in it" in error.remedy
    assert any(owner in error.remedy for owner in _owners("requests"))
    assert error.remedy.endswith('; or give the task an environment of its own: environment="isolated".')
    assert not error.retryable
    assert index.requests == []
    assert not settings.cache_dir.exists()


def test_all_contradictions_are_told_at_once(get: Get, source: Any) -> None:
    source.asks("attrs<1\n", "more.txt")

    with pytest.raises(DependencyError, match=", and 1 more") as caught:
        get("-r ../more.txt\nplain\nrequests<2\n")

    lines = caught.value.found.splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "more.txt:1: attrs<1",
        "sources/requirements.txt:3: requests<2",
    ]


def test_a_package_that_nothing_installed_needs_can_be_changed_in_the_image(get: Get) -> None:
    with pytest.raises(DependencyError) as caught:
        get("ruff==0.0.1\n")

    assert "which no installed package needs" in caught.value.found
    assert "is installed in it, if those that need it allow it" in caught.value.remedy


def test_a_contradiction_of_a_requirements_own_requirement_is_found(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("clash", "1.0", requires=["requests<2.21"]))
    index.add(make.wheel("plain", "1.0"))

    with pytest.raises(DependencyError, match=r"^clash, which sources/requirements.txt:2 \(clash\) asks for") as caught:
        get("plain\nclash\n")

    error = caught.value
    assert f"requests<2.21 contradicts what is installed, requests {REQUESTS}." in error.message
    assert "needed by" in error.found
    assert "uv says: error: No solution found" in error.found or "uv says:   × No solution found" in error.found
    assert any(owner in error.found for owner in _owners("requests"))
    assert not error.retryable


def test_a_contradiction_further_down_names_the_line_that_leads_to_it(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("clash", "1.0", requires=["requests<2.21"]))
    index.add(make.wheel("outer", "1.0", requires=["clash>=1"]))

    with pytest.raises(DependencyError, match=r"^clash, which sources/requirements.txt:1 \(outer\) asks for"):
        get("outer\n")


def test_an_older_version_that_does_not_contradict_is_taken_instead(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("clash", "2.0", requires=["requests<2.21"]))
    index.add(make.wheel("clash", "1.0", requires=["requests>=2"]))

    assert get("clash\n").packages == ("clash==1.0",)


def test_a_constraint_contradicts_only_where_something_asks_for_the_package(
    index: Any, make: Any, get: Get, source: Any
) -> None:
    index.add(make.wheel("plain", "1.0"))
    index.add(make.wheel("asking", "1.0", requires=["requests"]))
    source.asks("# limits\nrequests<2.21\n", "sources/limits.txt")

    assert get("-c limits.txt\nplain\n").packages == ("plain==1.0",)
    with pytest.raises(DependencyError) as caught:
        get("-c limits.txt\nasking\n")
    assert not caught.value.retryable
    assert "requests" in caught.value.found


def test_what_is_installed_may_be_a_version_no_index_has(index: Any, make: Any, get: Get) -> None:
    ours = importlib.metadata.version("airflow-provider-nilus")
    index.add(make.wheel("airflow-provider-nilus", "99.0"))
    index.add(make.wheel("plain", "1.0", requires=[f"airflow-provider-nilus=={ours}", "nilus"]))

    assert get("plain\n").packages == ("plain==1.0",)


@pytest.fixture
def installed(tmp_path: Path) -> InstalledPackages:
    for name, version, requires in (("tool", "2.0+local.1", ""), ("owner", "1.0", "Requires-Dist: Tool (>=1,<3)\n")):
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
    return InstalledPackages.on([str(tmp_path / "site")])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # uv 0.13
        (
            "Because only tool>=2.0 is available and all versions of clash depend on tool<2, we can conclude that all "
            "versions of clash cannot be used.\n  And because you require clash, we can conclude …",
            ("tool<2", "clash, which sources/requirements.txt:1 (clash) asks for"),
        ),
        # uv 0.9, broken over lines
        (
            "  ╰─▶ Because only tool>=2.0 is available and clash==1.0 depends\n      on tool>=1,<2, we can conclude "
            "that clash==1.0 cannot be used.\n      And because … and you require\n      clash[more], we can …",
            ("tool<2,>=1", "clash, which sources/requirements.txt:1 (clash) asks for"),
        ),
        (
            "Because inner[x]==1.0 depends on tool==1.0 and you require other, …",
            ("tool==1.0", "inner[x], which sources/requirements.txt needs"),
        ),
        ("Because clash==1.0 depends on tool>=2, and you require clash …", None),
        ("Because clash==1.0 depends on missing<2, and you require clash …", None),
        ("Because clash==1.0 depends on an archive at http://x and you require clash …", None),
    ],
)
def test_uvs_explanation_is_read_and_checked(
    words: str, expected: tuple[str, str] | None, installed: InstalledPackages, source: Any
) -> None:
    source.asks("clash\n")
    asked = file.read(source.base_dir, source.checkout)
    assert asked is not None

    found = conflicts.told_by_uv(words, asked, installed)

    assert [(str(one.requirement), one.asked_by) for one in found] == ([expected] if expected else [])


def test_the_versions_that_owners_refuse_are_told(installed: InstalledPackages, source: Any) -> None:
    source.asks("tool==3.1\ntool>=3\n")
    asked = file.read(source.base_dir, source.checkout)
    assert asked is not None

    exact, at_least = (conflicts.error([one], installed) for one in conflicts.direct(asked.wanted, installed))

    assert "which owner (Tool<3,>=1) would not allow as it is now" in exact.remedy
    assert "if those that need it allow it" in at_least.remedy
    assert "tool 2.0+local.1, needed by owner (Tool<3,>=1)" in exact.found
