"""The deployment's switches for builds and wheels, by their effect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nilus.environment import Environment
from nilus.errors import DependencyError

Get = Callable[..., Environment]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UV_NO_BUILD", "1"),
        ("UV_NO_BUILD_PACKAGE", "other built"),
        ("PIP_ONLY_BINARY", ":all:"),
        ("PIP_ONLY_BINARY", "other,built"),
    ],
)
def test_a_package_without_a_wheel_is_refused_and_its_build_does_not_run(
    variable: str, value: str, index: Any, make: Any, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    index.add(make.source_archive("built", "1.0", body=f"open({str(ran)!r}, 'w').close()"))
    monkeypatch.setenv(variable, value)

    with pytest.raises(DependencyError):
        get("built\n")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UV_NO_BUILD", "0"),
        ("UV_NO_BUILD_PACKAGE", "other"),
        ("PIP_ONLY_BINARY", ":none:"),
    ],
)
def test_what_a_switch_does_not_name_is_built(
    variable: str, value: str, index: Any, make: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(make.source_archive("built", "1.0"))
    monkeypatch.setenv(variable, value)

    assert get("built\n").paths


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UV_NO_BINARY", "1"),
        ("UV_NO_BINARY_PACKAGE", "both"),
        ("PIP_NO_BINARY", ":all:"),
        ("PIP_NO_BINARY", "both"),
    ],
)
def test_no_wheel_of_a_package_is_used(
    variable: str, value: str, index: Any, make: Any, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    index.add(make.wheel("both", "1.0"))
    index.add(make.source_archive("both", "1.0", body=f"open({str(ran)!r}, 'w').close()"))
    monkeypatch.setenv(variable, value)

    get("both\n")
    assert ran.exists()
