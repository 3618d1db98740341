"""Where uv gets packages from: the deployment's variables, uv's own and pip's, or its index connection.

uv's environment is made from nothing, out of these. What a repository holds has no part in it, nor have the variables
that are about uv's other uses (projects, tools, Python versions).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from nilus.environment.uv import pip_configuration
from nilus.errors import DependencyError

# What a program needs on this machine. uv and the build programs it starts get nothing else of ours.
_MACHINE = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "NETRC",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
    *(name for both in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (both, both.upper())),
    *("CC", "CXX", "CPP", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LD_LIBRARY_PATH", "LIBRARY_PATH"),
    *("CPATH", "C_INCLUDE_PATH", "PKG_CONFIG_PATH", "CMAKE_PREFIX_PATH", "MAKEFLAGS", "CARGO_HOME", "RUSTUP_HOME"),
)
_UV = (
    "UV_CACHE_DIR",
    "UV_NO_CACHE",
    "UV_CONCURRENT_BUILDS",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_CONCURRENT_INSTALLS",
    "UV_CREDENTIALS_DIR",
    "UV_HTTP_CONNECT_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_REQUEST_TIMEOUT",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_OFFLINE",
)
# These decide what is installed, so they are part of what an environment is known by.
_SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_DECIDING = (
    *_SOURCES,
    "UV_INDEX_STRATEGY",
    "UV_BUILD_CONSTRAINT",
    "UV_CONFIG_FILE",
    "UV_CONSTRAINT",
    "UV_EXCLUDE_NEWER",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
)
_FILES = ("UV_BUILD_CONSTRAINT", "UV_CONFIG_FILE", "UV_CONSTRAINT")
# pip's variable -> uv's, where one of uv's that mean the same is not set.
_FROM_PIP = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
    "PIP_TRUSTED_HOST": ("UV_INSECURE_HOST",),
    "PIP_DEFAULT_TIMEOUT": ("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT"),
    "PIP_TIMEOUT": ("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT"),
    "PIP_RETRIES": ("UV_HTTP_RETRIES",),
    "PIP_CERT": ("SSL_CERT_FILE",),
    "PIP_CLIENT_CERT": ("SSL_CLIENT_CERT",),
    "PIP_CONSTRAINT": ("UV_CONSTRAINT",),
    "PIP_BUILD_CONSTRAINT": ("UV_BUILD_CONSTRAINT",),
    "PIP_KEYRING_PROVIDER": ("UV_KEYRING_PROVIDER",),
}
# `uv pip` has no variable for these: (all packages, some packages, pip's variable, the option).
_BUILDS = (
    ("UV_NO_BUILD", "UV_NO_BUILD_PACKAGE", "PIP_ONLY_BINARY", "--only-binary"),
    ("UV_NO_BINARY", "UV_NO_BINARY_PACKAGE", "PIP_NO_BINARY", "--no-binary"),
)
_FIXED = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "UV_NO_PROGRESS": "1",
    # Or sentences we look for would be broken over lines.
    "UV_NO_WRAP": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "GIT_TERMINAL_PROMPT": "0",
}
_INDEX_CREDENTIAL = re.compile(r"(UV_INDEX_\w+)_(USERNAME|PASSWORD)")
_INDEX_NAME = "nilus"
_USER_INFO = re.compile(r"(?<=://)([^/\s@,]+)@")


@dataclass(frozen=True, kw_only=True)
class Index:
    """The index all packages come from, instead of what the variables say.

    Args:
        url: its address, of the simple repository API, without user info.
        username, password: how it lets us in; never shown by `repr`.

    Raises:
        DependencyError: the address is none, or has user info in it.
    """

    url: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(https?|file)://[^\s@]+", self.url):
            raise DependencyError(
                "The address of the package index is not one.",
                expected="https://host/path of a simple repository, without user info",
                found=_USER_INFO.sub("***@", self.url) or "nothing",
                remedy="Correct the index connection; its login and password have fields of their own.",
            )


@dataclass(frozen=True)
class UvSettings:
    """How uv is to be run in this deployment.

    Args:
        variables: all of its environment.
        arguments: options for which uv has no variable.
        identity: a hash of what decides which packages are found; the same whoever is let in.
        secrets: what must not be seen, longest first.
    """

    variables: Mapping[str, str] = field(repr=False)
    arguments: tuple[str, ...]
    identity: str
    secrets: tuple[str, ...] = field(repr=False)


def settings_of(
    environ: Mapping[str, str],
    index: Index | None = None,
    *,
    without_default_index: bool = False,
    cache_dir: Path | None = None,
) -> UvSettings:
    """Return how uv is to be run.

    Args:
        environ: the worker's environment; pip's and uv's configuration files of this machine count beneath it.
        index: takes the place of all indexes the environment and the files name.
        cache_dir: the cache in which uv has its own where this user has no home that can be written.
        without_default_index: leave the default index to the requirements, which uv asks only if there is no other.

    Raises:
        DependencyError: a configuration file cannot be read, or two indexes have one name.
    """
    environ = {**pip_configuration.variables(environ), **environ}
    taken = {name: environ[name] for name in (*_MACHINE, *_UV, *_DECIDING) if environ.get(name)}
    taken |= {name: value for name, value in environ.items() if _INDEX_CREDENTIAL.fullmatch(name)}
    taken |= dict(_from_pip(environ, taken))
    if cache_dir is not None and not _has_cache(environ):
        taken["UV_CACHE_DIR"] = str(cache_dir / "uv")
    configuration = _uv_configuration(environ)
    if configuration:
        taken.setdefault("UV_CONFIG_FILE", configuration)
    arguments = tuple(_build_options(environ))
    if index is not None:
        taken = {name: value for name, value in taken.items() if name not in (*_SOURCES, "UV_CONFIG_FILE")}
        taken |= _of_index(index)
    elif _is_true(environ.get("PIP_NO_INDEX")):
        arguments += ("--no-index",)
    _check_names(taken)
    if without_default_index:
        taken = {name: value for name, value in taken.items() if name not in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")}
    return UvSettings(
        variables=taken | _FIXED,
        arguments=arguments,
        identity=_identity(taken, arguments),
        secrets=tuple(sorted(_secrets(taken), key=lambda secret: (-len(secret), secret))),
    )


def _of_index(index: Index) -> dict[str, str]:
    variables = {"UV_DEFAULT_INDEX": f"{_INDEX_NAME}={index.url}"}
    if index.username is not None or index.password is not None:
        variables[f"UV_INDEX_{_INDEX_NAME.upper()}_USERNAME"] = index.username or ""
        variables[f"UV_INDEX_{_INDEX_NAME.upper()}_PASSWORD"] = index.password or ""
    return variables


def _from_pip(environ: Mapping[str, str], taken: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, equivalents in _FROM_PIP.items():
        value = environ.get(name, "").strip()
        if not value or any(equivalent in taken for equivalent in equivalents):
            continue
        if name == "PIP_FIND_LINKS":
            value = ",".join(value.split())
        if name == "PIP_KEYRING_PROVIDER" and value != "subprocess":
            # uv knows only this provider.
            continue
        yield equivalents[0], value
    proxy = environ.get("PIP_PROXY")
    if proxy and not any(name.lower() in ("https_proxy", "all_proxy") for name in taken):
        yield "ALL_PROXY", proxy
    if _is_true(environ.get("PIP_PRE")) and "UV_PRERELEASE" not in taken:
        yield "UV_PRERELEASE", "allow"


def _has_cache(environ: Mapping[str, str]) -> bool:
    """Whether uv finds a place for its cache by itself."""
    if any(environ.get(name) for name in ("UV_CACHE_DIR", "UV_NO_CACHE", "XDG_CACHE_HOME")):
        return True
    home = environ.get("HOME", "")
    cache = Path(home, ".cache", "uv")
    nearest = next((folder for folder in (cache, *cache.parents) if folder.exists()), cache)
    return bool(home) and nearest.is_relative_to(home) and os.access(nearest, os.W_OK | os.X_OK)


def _build_options(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield which packages are not built, and of which no wheel is used."""
    for everything, some, pip, option in _BUILDS:
        if environ.get(everything) or environ.get(some):
            names = environ.get(some, "").split()
            chosen = [":all:"] if _is_true(environ.get(everything)) else names
        else:
            chosen = environ.get(pip, "").replace(",", " ").split()
        yield from (f"{option}={name}" for name in chosen)


def _uv_configuration(environ: Mapping[str, str]) -> str | None:
    """Return the first of uv's own configuration files that is there: the user's, then the machine's."""
    home, folder = environ.get("HOME"), environ.get("XDG_CONFIG_HOME")
    user = Path(folder) if folder else Path(home, ".config") if home else None
    machine = [Path(folder) for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    for parent in (*([user] if user else ()), *machine, Path("/etc")):
        file = parent / "uv" / "uv.toml"
        if file.is_absolute() and file.is_file():
            return str(file)
    return None


def _check_names(taken: Mapping[str, str]) -> None:
    """Refuse two indexes of one name: uv asks the first alone, and may give it the password of the other.

    Raises:
        DependencyError: there are two.
    """
    seen: dict[str, str] = {}
    for variable in ("UV_INDEX", "UV_DEFAULT_INDEX"):
        for entry in taken.get(variable, "").split():
            name, equals, address = entry.partition("=")
            if not equals or ":" in name:
                continue
            if seen.setdefault(name.lower(), address) != address:
                raise DependencyError(
                    f"Two package indexes have the name {name!r}.",
                    expected="a name for each index in UV_INDEX and UV_DEFAULT_INDEX",
                    found=" and ".join(_USER_INFO.sub("***@", one) for one in (seen[name.lower()], address)),
                    remedy="Rename one of them, and its UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD.",
                )


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in ("1", "true", "yes", "on", "y", "t")


def _identity(taken: Mapping[str, str], arguments: tuple[str, ...]) -> str:
    known = {name: _USER_INFO.sub("", taken[name]) for name in _DECIDING if name in taken}
    contents = {path: _content(path) for name in _FILES for path in taken.get(name, "").split()}
    return hashlib.sha256(json.dumps([known, contents, arguments], sort_keys=True).encode()).hexdigest()


def _content(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        # An address, or a file that is not there: uv says what it thinks of it.
        return None


def _secrets(taken: Mapping[str, str]) -> set[str]:
    found = set()
    for name, value in taken.items():
        # A user is a secret where there is no password beside it: some indexes take a token so.
        credential = _INDEX_CREDENTIAL.fullmatch(name)
        if credential and (credential[2] == "PASSWORD" or not taken.get(f"{credential[1]}_PASSWORD")):
            found.add(value)
        for user_info in _USER_INFO.findall(value):
            user, colon, password = user_info.partition(":")
            secret = password if colon else user
            found |= {user_info, secret, unquote(secret)}
    return {secret for secret in found if secret}
