"""Where uv gets packages from: the deployment's variables and its index connection, nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nilus.environment.uv.program import find_uv
from nilus.environment.uv.settings import Index, settings_of
from nilus.errors import DependencyError

WITHOUT_FILES = {"PIP_CONFIG_FILE": os.devnull}


def variables(environ: dict[str, str], index: Index | None = None) -> dict[str, str]:
    """Return what was taken, without what is always there."""
    always = settings_of(WITHOUT_FILES).variables
    taken = settings_of(WITHOUT_FILES | environ, index).variables
    return {name: value for name, value in taken.items() if name not in always}


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "HTTPS_PROXY",
        "no_proxy",
        "SSL_CERT_FILE",
        "NETRC",
        "CC",
        "UV_INDEX",
        "UV_INDEX_PRIVATE_PASSWORD",
        "UV_CACHE_DIR",
        "UV_CONFIG_FILE",
        "UV_EXCLUDE_NEWER",
    ],
)
def test_what_uv_needs_is_taken(name: str) -> None:
    assert variables({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    "name",
    [
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW_CONN_DB",
        "AWS_SECRET_ACCESS_KEY",
        "GITSYNC_PASSWORD",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_TARGET",
        "UV_OVERRIDE",
        "UV_NO_VERIFY_HASHES",
        "UV_PUBLISH_TOKEN",
        "UV_NO_BUILD_ISOLATION",
        "UV_LINK_MODE",
        "RUST_LOG",
        "PIP_TARGET",
        "PIP_USER",
    ],
)
def test_what_would_change_uv_or_is_none_of_its_business_is_not_taken(name: str) -> None:
    assert variables({name: "value"}) == {}


@pytest.mark.parametrize(
    ("pip", "uv"),
    [
        ({"PIP_INDEX_URL": "https://a/simple"}, {"UV_DEFAULT_INDEX": "https://a/simple"}),
        ({"PIP_EXTRA_INDEX_URL": "https://a https://b"}, {"UV_INDEX": "https://a https://b"}),
        ({"PIP_FIND_LINKS": "/a https://b"}, {"UV_FIND_LINKS": "/a,https://b"}),
        ({"PIP_TRUSTED_HOST": "a b"}, {"UV_INSECURE_HOST": "a b"}),
        ({"PIP_DEFAULT_TIMEOUT": "7", "PIP_RETRIES": "2"}, {"UV_HTTP_TIMEOUT": "7", "UV_HTTP_RETRIES": "2"}),
        ({"PIP_CERT": "/ca.pem"}, {"SSL_CERT_FILE": "/ca.pem"}),
        ({"PIP_PROXY": "http://proxy"}, {"ALL_PROXY": "http://proxy"}),
        ({"PIP_CONSTRAINT": "/c.txt"}, {"UV_CONSTRAINT": "/c.txt"}),
        ({"PIP_PRE": "1"}, {"UV_PRERELEASE": "allow"}),
        ({"PIP_PRE": "0"}, {}),
        ({"PIP_KEYRING_PROVIDER": "subprocess"}, {"UV_KEYRING_PROVIDER": "subprocess"}),
        ({"PIP_KEYRING_PROVIDER": "auto"}, {}),
        ({"PIP_INDEX_URL": "https://a", "UV_DEFAULT_INDEX": "https://b"}, {"UV_DEFAULT_INDEX": "https://b"}),
        ({"PIP_INDEX_URL": "https://a", "UV_INDEX_URL": "https://b"}, {"UV_INDEX_URL": "https://b"}),
        ({"PIP_EXTRA_INDEX_URL": "https://a", "UV_INDEX": "https://b"}, {"UV_INDEX": "https://b"}),
        ({"PIP_CERT": "/ca.pem", "SSL_CERT_FILE": "/b.pem"}, {"SSL_CERT_FILE": "/b.pem"}),
        ({"PIP_PROXY": "http://a", "https_proxy": "http://b"}, {"https_proxy": "http://b"}),
    ],
    ids=str,
)
def test_pips_variables_count_where_uvs_own_are_silent(pip: dict[str, str], uv: dict[str, str]) -> None:
    assert variables(pip) == uv


def test_pips_no_index_becomes_an_argument() -> None:
    assert settings_of(WITHOUT_FILES | {"PIP_NO_INDEX": "true"}).arguments == ("--no-index",)
    assert settings_of(WITHOUT_FILES | {"PIP_NO_INDEX": "0"}).arguments == ()
    assert settings_of(WITHOUT_FILES | {"PIP_NO_INDEX": "1"}, Index(url="https://a/simple")).arguments == ()


@pytest.mark.parametrize(
    "variables",
    [
        {"UV_INDEX": "corp=https://a/simple", "UV_DEFAULT_INDEX": "corp=https://b/simple"},
        {"UV_INDEX": "corp=https://a/simple CORP=https://b/simple"},
        {"UV_INDEX": "corp=https://me:s3cret@a/simple corp=https://b/simple"},
    ],
    ids=str,
)
def test_two_indexes_of_one_name_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(DependencyError, match="Two package indexes have the name") as caught:
        settings_of(WITHOUT_FILES | variables)
    assert "s3cret" not in str(caught.value)


def test_the_same_index_may_be_named_twice() -> None:
    settings_of(WITHOUT_FILES | {"UV_INDEX": "corp=https://a/simple", "UV_DEFAULT_INDEX": "corp=https://a/simple"})


def test_uv_has_its_cache_in_ours_where_this_user_has_no_home(tmp_path: Path) -> None:
    def cache(**environ: str) -> str | None:
        return settings_of(WITHOUT_FILES | environ, cache_dir=tmp_path).variables.get("UV_CACHE_DIR")

    home = tmp_path / "home"
    home.mkdir()
    assert cache() == str(tmp_path / "uv")
    assert cache(HOME="/nowhere/at/all") == str(tmp_path / "uv")
    assert cache(HOME=str(home)) is None
    assert cache(XDG_CACHE_HOME="/x") is None
    assert cache(UV_CACHE_DIR="/chosen") == "/chosen"


def test_an_index_connection_is_the_only_source() -> None:
    environ = {
        "UV_DEFAULT_INDEX": "https://b/simple",
        "UV_INDEX": "https://c/simple",
        "PIP_EXTRA_INDEX_URL": "https://d/simple",
        "UV_FIND_LINKS": "/e",
        "UV_HTTP_TIMEOUT": "7",
    }
    index = Index(url="https://a/simple", username="me", password="s3cret")

    assert variables(environ, index) == {
        "UV_DEFAULT_INDEX": "nilus=https://a/simple",
        "UV_INDEX_NILUS_USERNAME": "me",
        "UV_INDEX_NILUS_PASSWORD": "s3cret",
        "UV_HTTP_TIMEOUT": "7",
    }
    assert "s3cret" not in repr(index) + repr(settings_of(environ, index))


@pytest.mark.parametrize("url", ["", "host/simple", "https://me:s3cret@host/simple", "ssh://host/x", "https://a b/x"])
def test_an_index_connection_needs_an_address_without_credentials(url: str) -> None:
    with pytest.raises(DependencyError, match="package index") as caught:
        Index(url=url)
    assert "s3cret" not in str(caught.value)


def test_the_identity_depends_on_where_packages_come_from_and_not_on_who_asks(tmp_path: Path) -> None:
    def identity(**environ: str) -> str:
        return settings_of(environ).identity

    base = identity(UV_DEFAULT_INDEX="https://me:one@host/simple")
    assert base == identity(UV_DEFAULT_INDEX="https://you:two@host/simple")
    assert base == identity(UV_DEFAULT_INDEX="https://host/simple", UV_INDEX_X_PASSWORD="s", UV_HTTP_TIMEOUT="7")
    assert base == identity(PIP_INDEX_URL="https://host/simple")
    different = [
        base,
        identity(),
        identity(UV_DEFAULT_INDEX="https://other/simple"),
        identity(UV_INDEX="https://host/simple"),
        identity(UV_DEFAULT_INDEX="https://host/simple", UV_PRERELEASE="allow"),
        identity(UV_DEFAULT_INDEX="https://host/simple", PIP_NO_INDEX="1"),
    ]
    assert len(set(different)) == len(different)
    limits = tmp_path / "limits.txt"
    limits.write_text("a<1\n")
    before = identity(UV_CONSTRAINT=str(limits))
    limits.write_text("a<2\n")
    assert identity(UV_CONSTRAINT=str(limits)) != before


def test_secrets_are_known_in_every_form_longest_first() -> None:
    environ = {
        "UV_DEFAULT_INDEX": "https://me:p%40ss@host/simple",
        "UV_INDEX": "a=https://t0ken@one/simple https://you:other@two/simple",
        "HTTPS_PROXY": "http://proxy:pr0xy@host:1",
        "UV_INDEX_X_USERNAME": "named",
        "UV_INDEX_X_PASSWORD": "w0rd",
        "UV_INDEX_Y_USERNAME": "onlytoken",
    }
    found = settings_of(environ).secrets

    assert {"p%40ss", "p@ss", "t0ken", "other", "pr0xy", "w0rd", "onlytoken"} <= set(found)
    assert not {"named", "me", "you"} & set(found)
    assert list(found) == sorted(found, key=len, reverse=True)


def test_uv_accepts_the_names_its_variables_are_given() -> None:
    helped = subprocess.run([find_uv(), "pip", "compile", "--help"], capture_output=True, text=True, check=True).stdout
    helped += subprocess.run([find_uv(), "pip", "install", "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_CONSTRAINT", "UV_PRERELEASE", "UV_OFFLINE"):
        assert name in helped, name
    for option in ("--no-config", "--no-annotate", "--no-header", "--target", "--require-hashes", "--link-mode"):
        assert option in helped, option
