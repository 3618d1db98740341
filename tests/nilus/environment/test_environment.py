"""The main path: requirements in, folders of what is missing out."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nilus.environment import Environment, EnvironmentSettings, Index
from nilus.errors import DependencyError

Get = Callable[..., Environment]
InChild = Callable[[Environment, str], Any]

ATTRS = importlib.metadata.version("attrs")


def added(environment: Environment) -> set[str]:
    return {path.name for folder in environment.paths for path in Path(folder).iterdir()}


def test_without_requirements_there_is_no_environment(get: Get, settings: EnvironmentSettings) -> None:
    environment = get()

    assert (environment.paths, environment.packages, environment.cached) == ([], (), True)
    assert not settings.cache_dir.exists()


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n\n", "tool ; python_version < '3'\n"])
def test_requirements_that_ask_for_nothing_here_make_no_environment(
    text: str, get: Get, settings: EnvironmentSettings
) -> None:
    assert get(text).paths == []
    assert not settings.cache_dir.exists()


def test_what_is_missing_is_added_in_the_cache_and_nothing_else(
    index: Any, make: Any, get: Get, settings: EnvironmentSettings, in_child: InChild
) -> None:
    index.add(make.wheel("plain", "1.0", requires=["attrs>=1", "inner"]))
    index.add(make.wheel("inner", "2.5"))
    before = set(importlib.metadata.packages_distributions())

    environment = get("plain\n")

    assert environment.packages == ("inner==2.5", "plain==1.0")
    assert added(environment) == {"plain", "plain-1.0.dist-info", "inner", "inner-2.5.dist-info"}
    assert Path(environment.paths[0]).is_relative_to(settings.cache_dir / "envs-v1")
    assert not environment.cached
    assert in_child(environment, "import plain, inner; print(json.dumps([plain.version, inner.version]))") == [
        "1.0",
        "2.5",
    ]
    assert set(importlib.metadata.packages_distributions()) == before


def test_the_index_is_not_asked_about_what_is_installed(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0", requires=["attrs", "dlt>=1", "airflow-provider-nilus", "apache-airflow>=3"]))

    get("plain\nrequests\n")

    asked = {path.split("/")[2] for path in index.requests if "/simple/" in path}
    assert asked == {"plain"}


def test_the_second_environment_comes_out_of_the_cache(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))
    first, second = get("plain\n"), get("plain\n")

    assert (first.cached, second.cached) == (False, True)
    assert first.paths == second.paths


def test_known_requirements_need_neither_network_nor_uv(
    index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(make.wheel("plain", "1.0", requires=["inner"]))
    index.add(make.wheel("inner", "2.5"))
    first = get("plain\n")
    asked = len(index.requests)
    monkeypatch.setattr("nilus.environment.uv.program.find_uv", lambda: "/no/uv/here")

    assert get("plain\n").paths == first.paths
    assert len(index.requests) == asked


def test_what_was_found_to_be_missing_nothing_is_known_the_next_time(
    index: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get("dlt[duckdb]\n").paths == []
    monkeypatch.setattr("nilus.environment.uv.program.find_uv", lambda: "/no/uv/here")

    assert get("dlt[duckdb]\n").paths == []
    assert index.requests == []


def test_the_extras_of_an_installed_package_add_what_they_need(index: Any, make: Any, get: Get) -> None:
    requires = [
        requirement
        for requirement in importlib.metadata.requires("requests") or []
        if "socks" in requirement.partition(";")[2]
    ]
    assert requires, "expected requests to have the extra socks"
    index.add(make.wheel("PySocks", "1.7.1"))

    assert get("requests[socks]\n").packages == ("pysocks==1.7.1",)


def test_the_extras_of_a_missing_package_are_added(index: Any, make: Any, get: Get) -> None:
    index.add(
        make.wheel("plain", "1.0", extras=["more"], requires=["inner ; extra == 'more'", "other ; extra == 'less'"])
    )
    index.add(make.wheel("inner", "2.5"))

    assert get("plain[more]\n").packages == ("inner==2.5", "plain==1.0")
    assert get("plain\n").packages == ("plain==1.0",)


def test_an_installed_requirement_is_accepted_with_a_hint(
    get: Get, caplog: pytest.LogCaptureFixture, settings: EnvironmentSettings
) -> None:
    caplog.set_level(logging.INFO, "nilus.environment")

    assert get("attrs\n\nPyYAML>=6,<7  # read\n").paths == []

    yaml = importlib.metadata.version("PyYAML")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "INFO",
            "These requirements can be dropped, the worker has them: "
            f"attrs (sources/requirements.txt:1; installed is {ATTRS}), "
            f"PyYAML<7,>=6 (sources/requirements.txt:3; installed is {yaml}).",
        )
    ]
    assert not settings.cache_dir.exists()


@pytest.mark.parametrize("line", ["nilus", "nilus==7.1", "Nilus>=0.1"])
def test_nilus_is_what_a_source_imports_whatever_an_index_has_under_its_name(
    line: str, index: Any, make: Any, get: Get
) -> None:
    index.add(make.wheel("nilus", "7.1"))
    index.add(make.wheel("plain", "1.0", requires=["nilus"]))

    assert get(f"{line}\nplain\n").packages == ("plain==1.0",)
    assert index.count("/nilus/") == 0


def test_the_log_says_what_was_added_and_where_it_came_from(
    index: Any, make: Any, get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    index.add(make.wheel("plain", "1.0"))
    caplog.set_level(logging.INFO, "nilus.environment")
    get("plain\n")
    get("plain\n")

    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("sources/requirements.txt: added plain==1.0 (installed, ")
    assert lines[1].startswith("sources/requirements.txt: added plain==1.0 (from the cache, ")


def test_what_was_added_is_read_only_and_compiled(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))
    (folder,) = map(Path, get("plain\n").paths)

    assert list((folder / "plain" / "__pycache__").glob("*.pyc"))
    for path in (folder, *folder.rglob("*")):
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH), path
    assert not (folder / ".lock").exists()


def test_changed_requirements_make_another_environment(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))
    index.add(make.wheel("plain", "1.1"))

    old, new = get("plain==1.0\n"), get("plain==1.1\n")

    assert old.paths != new.paths
    assert (old.packages, new.packages) == (("plain==1.0",), ("plain==1.1",))


def test_different_requirements_with_one_solution_share_an_environment(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))
    index.add(make.wheel("plain", "1.1"))

    assert get("plain>=1\n").paths == get("plain==1.1  # the same\n").paths


def test_a_range_keeps_the_version_it_first_led_to(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))
    first = get("plain>=1\n")
    index.add(make.wheel("plain", "1.1"))

    assert get("plain>=1\n").packages == first.packages == ("plain==1.0",)


def test_a_version_the_index_has_lost_is_looked_for_again(
    index: Any, make: Any, get: Get, settings: EnvironmentSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = make.wheel("plain", "1.0")
    index.add(old)
    with get("plain>=1\n") as environment:
        place = Path(environment.paths[0]).parent
    place.rename(tmp_path / "lost")
    index.remove(old[0])
    index.add(make.wheel("plain", "1.1"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-uv-cache"))

    assert get("plain>=1\n").packages == ("plain==1.1",)
    assert get("plain>=1\n").packages == ("plain==1.1",)


def test_files_the_requirements_include_count(index: Any, make: Any, get: Get, source: Any) -> None:
    for version in ("1.0", "1.1"):
        index.add(make.wheel("plain", version))
        index.add(make.wheel("inner", version))
    source.asks("-c ../limits.txt\ninner\n", "common/base.txt")
    source.asks("inner<1.1\nattrs<1  # nobody asks for it\n", "limits.txt")

    assert get("-r ../common/base.txt\nplain\n").packages == ("inner==1.0", "plain==1.1")


def test_a_source_archive_is_built(index: Any, make: Any, get: Get, in_child: InChild) -> None:
    index.add(make.source_archive("built", "1.0"))

    assert in_child(get("built\n"), "import built; print(json.dumps(built.built))") is True


def test_hashes_that_fit_are_accepted(index: Any, make: Any, get: Get) -> None:
    good = index.add(make.wheel("plain", "1.0"))

    environment = get(f"plain==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{good}\n")

    assert environment.packages == ("plain==1.0",)


def test_an_archive_that_is_not_the_one_the_hash_is_for_is_refused(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))

    with pytest.raises(DependencyError, match="not the one the hashes") as caught:
        get(f"plain==1.0 --hash=sha256:{'0' * 64}\n")

    assert not caught.value.retryable
    assert "0" * 64 in caught.value.found


def test_one_hash_means_that_all_are_required(index: Any, make: Any, get: Get) -> None:
    good = index.add(make.wheel("plain", "1.0", requires=["inner"]))
    inner = index.add(make.wheel("inner", "2.5"))

    with pytest.raises(DependencyError, match="not for all packages") as caught:
        get(f"plain==1.0 --hash=sha256:{good}\n")

    assert caught.value.found == "none for inner==2.5"
    assert get(f"plain==1.0 --hash=sha256:{good}\ninner==2.5 --hash=sha256:{inner}\n").paths


def test_the_same_versions_with_and_without_hashes_are_two_environments(index: Any, make: Any, get: Get) -> None:
    good = index.add(make.wheel("plain", "1.0"))

    assert get("plain==1.0\n").paths != get(f"plain==1.0 --hash=sha256:{good}\n").paths


def test_an_index_connection_takes_the_place_of_the_variables(
    index: Any, other_index: Any, make: Any, get: Get, settings: EnvironmentSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_index.login = ("reader", "s3cret/of@it")
    other_index.add(make.wheel("plain", "1.0"))
    monkeypatch.setenv("UV_INDEX", index.url)
    connection = Index(url=other_index.url, username="reader", password="s3cret/of@it")

    environment = get("plain\n", settings=dataclasses.replace(settings, index=connection))

    assert environment.packages == ("plain==1.0",)
    assert index.requests == []


def test_addresses_are_installed_where_the_deployment_allows_them(
    index: Any, make: Any, get: Get, source: Any, settings: EnvironmentSettings, in_child: InChild
) -> None:
    index.add(make.wheel("plain", "1.0"))
    wheels = source.checkout / "wheels"
    wheels.mkdir()
    make.write(wheels, make.wheel("vendored", "3.0"))
    allowed = dataclasses.replace(settings, allow_direct_requirements=True)
    url = index.file_url("plain", "plain-1.0-py3-none-any.whl")

    environment = get(f"plain @ {url}\n../wheels/vendored-3.0-py3-none-any.whl\n", settings=allowed)

    assert environment.packages == (
        f"plain @ {url}",
        f"vendored @ {(wheels / 'vendored-3.0-py3-none-any.whl').as_uri()}",
    )
    assert in_child(environment, "import plain, vendored; print(json.dumps([plain.version, vendored.version]))") == [
        "1.0",
        "3.0",
    ]


def test_an_index_of_the_repository_is_asked_where_the_deployment_allows_it(
    index: Any, other_index: Any, make: Any, get: Get, source: Any, settings: EnvironmentSettings
) -> None:
    other_index.add(make.wheel("plain", "1.0"))
    make.write(source.checkout, make.wheel("vendored", "3.0"))
    allowed = dataclasses.replace(settings, allow_direct_requirements=True)

    environment = get(f"--index-url {other_index.url}\n--find-links ..\nplain\nvendored\n", settings=allowed)

    assert environment.packages == ("plain==1.0", "vendored==3.0")
    assert index.requests == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_no_time_is_refused(timeout: float, get: Get) -> None:
    with pytest.raises(DependencyError, match="not a time"):
        get("plain\n", timeout=timeout)
