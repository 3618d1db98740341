"""pip's configuration files, as the variables that say the same."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from nilus.errors import DependencyError

# What pip takes from a file and uv has under another name; the command `install` beats what is for all commands.
_SECTIONS = ("global", "install")
_MAX_BYTES = 1_000_000


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what pip's configuration files of this machine say, as pip's variables: `PIP_INDEX_URL` for `index-url`.

    Args:
        environ: the worker's environment. `PIP_CONFIG_FILE` names one more file; if it is there, the user's files do
            not count; `/dev/null` switches all files off.

    Raises:
        DependencyError: a file cannot be read: without it a private package could be asked of a public index.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in _files(environ):
        parser = configparser.RawConfigParser()
        try:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                parser.read_string(file.read(_MAX_BYTES).decode())
        except (OSError, UnicodeDecodeError, configparser.Error) as problem:
            raise DependencyError(
                "pip's configuration file cannot be read.",
                expected="a file of sections and options that this user may read",
                found=f"{path}: {type(problem).__name__}",
                remedy="Correct the file or its permissions; or set PIP_CONFIG_FILE=/dev/null to use no such file.",
            ) from None
        for section in _SECTIONS:
            if parser.has_section(section):
                found[section] |= parser.items(section)
    options = found["global"] | found["install"]
    return {f"PIP_{name.replace('-', '_').upper()}": " ".join(value.split()) for name, value in options.items()}


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that pip looks for; what a later one says counts."""
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return
    for folder in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        if folder.startswith("/"):
            yield Path(folder, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    home = environ.get("HOME")
    if home and not (chosen and Path(chosen).exists()):
        yield Path(home, ".pip", "pip.conf")
        yield Path(environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "pip", "pip.conf")
    yield Path(sys.prefix, "pip.conf")
    if chosen:
        yield Path(chosen)
