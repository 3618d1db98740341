"""What pip's configuration files say counts as its variables do: no private name is asked of a public index."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nilus.environment import Environment
from nilus.environment.uv.pip_configuration import variables
from nilus.environment.uv.settings import Index, settings_of
from nilus.errors import DependencyError

Get = Callable[..., Environment]


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_private_package_comes_from_the_index_of_pip_s_file_and_no_other_is_asked(
    index: Any, other_index: Any, make: Any, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(make.wheel("private", "1.0"))
    other_index.add(make.wheel("private", "9.9"))
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    file = _write(tmp_path / "pip.conf", f"[global]\nindex-url = {index.url}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))

    get("private\n")

    assert index.count("private")
    assert not other_index.count("private")


def test_the_command_beats_all_commands_and_the_file_that_is_named_beats_the_users(tmp_path: Path) -> None:
    home = _write(tmp_path / "home/.config/pip/pip.conf", "[global]\nindex-url = https://a\ntimeout = 7\n").parents[2]
    named = _write(tmp_path / "named.conf", "[install]\nindex_url = https://c\n[global]\nindex-url = https://b\n")

    user = variables({"HOME": str(home)})
    assert (user["PIP_INDEX_URL"], user["PIP_TIMEOUT"]) == ("https://a", "7")
    chosen = variables({"HOME": str(home), "PIP_CONFIG_FILE": str(named)})
    assert chosen["PIP_INDEX_URL"] == "https://c"
    assert chosen.get("PIP_TIMEOUT") != "7"
    assert variables({"HOME": str(home), "PIP_CONFIG_FILE": os.devnull}) == {}


def test_several_lines_are_several_indexes_and_a_variable_beats_the_file(tmp_path: Path) -> None:
    file = _write(tmp_path / "pip.conf", "[global]\nextra-index-url =\n    https://a\n    https://b\n")

    environ = {"PIP_CONFIG_FILE": str(file)}
    assert settings_of(environ).variables["UV_INDEX"] == "https://a https://b"
    environ["PIP_EXTRA_INDEX_URL"] = "https://c"
    assert settings_of(environ).variables["UV_INDEX"] == "https://c"


@pytest.mark.parametrize("content", [b"index-url = https://a", b"[global]\nindex-url = \xff\xfe"], ids=repr)
def test_a_file_that_cannot_be_read_is_an_error_and_not_the_public_index(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_bytes(content)

    with pytest.raises(DependencyError, match="pip's configuration file cannot be read"):
        settings_of({"PIP_CONFIG_FILE": str(file)})


def test_uv_s_own_file_counts_and_an_index_connection_beats_it(tmp_path: Path) -> None:
    home = _write(tmp_path / ".config/uv/uv.toml", "offline = true\n").parents[2]
    environ = {"HOME": str(home), "PIP_CONFIG_FILE": os.devnull}

    assert settings_of(environ).variables["UV_CONFIG_FILE"] == str(home / ".config/uv/uv.toml")
    assert "UV_CONFIG_FILE" not in settings_of(environ, Index(url="https://a/simple")).variables
    environ["UV_CONFIG_FILE"] = "/chosen.toml"
    assert settings_of(environ).variables["UV_CONFIG_FILE"] == "/chosen.toml"
