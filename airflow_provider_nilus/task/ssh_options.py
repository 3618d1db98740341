"""The ssh options of a connection as git's environment: the fields of Airflow's own connection type `git`."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FIELDS = ("private_key", "key_file", "known_hosts_file", "ssh_config_file", "host_proxy_cmd", "ssh_port")
_HOST_KEYS = ("yes", "no", "accept-new", "off")


@contextmanager
def ssh_environment(extra: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the variables by which git's ssh uses a connection's key; none if the connection has no ssh option.

    A key given as text, and the program that answers ssh with its passphrase, are files that only this user can read;
    they are removed at the end.

    Args:
        extra: the connection's extra. A host whose key is unknown is refused unless `strict_host_key_checking` says
            otherwise: there is no terminal to ask on.

    Raises:
        ValueError: options contradict each other, or one is not what it has to be.
    """
    if not any(extra.get(name) for name in (*_FIELDS, "strict_host_key_checking")):
        yield {}
        return
    if extra.get("private_key") and extra.get("key_file"):
        raise ValueError("Both 'key_file' and 'private_key' cannot be provided at the same time")
    with tempfile.TemporaryDirectory(prefix="nilus-ssh-") as folder:
        key_file = extra.get("key_file")
        if extra.get("private_key"):
            text = str(extra["private_key"])
            key_file = _private_file(Path(folder, "key"), text if text.endswith("\n") else f"{text}\n", 0o600)
        environ = {"GIT_SSH_COMMAND": " ".join(_command(extra, key_file))}
        passphrase = str(extra.get("private_key_passphrase") or "")
        if passphrase:
            script = f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(passphrase)}\n"
            program = _private_file(Path(folder, "passphrase"), script, 0o700)
            # DISPLAY: versions of ssh before 8.4 ask no program without one.
            environ |= {"SSH_ASKPASS": program, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
        yield environ


def _command(extra: Mapping[str, Any], key_file: str | None) -> Iterator[str]:
    yield "ssh"
    if key_file:
        yield f"-i {shlex.quote(key_file)} -o IdentitiesOnly=yes"
    checking = str(extra.get("strict_host_key_checking") or "yes")
    checking = "yes" if checking == "ask" else checking
    if checking not in _HOST_KEYS:
        raise ValueError(f"strict_host_key_checking is {checking!r}, expected one of {', '.join(_HOST_KEYS)}")
    yield f"-o StrictHostKeyChecking={checking}"
    if extra.get("known_hosts_file"):
        yield f"-o UserKnownHostsFile={shlex.quote(str(extra['known_hosts_file']))}"
    elif checking == "no":
        yield "-o UserKnownHostsFile=/dev/null"
    if extra.get("ssh_config_file"):
        yield f"-F {shlex.quote(str(extra['ssh_config_file']))}"
    if extra.get("host_proxy_cmd"):
        yield f"-o ProxyCommand={shlex.quote(str(extra['host_proxy_cmd']))}"
    if extra.get("ssh_port"):
        yield f"-p {int(extra['ssh_port'])}"


def _private_file(path: Path, text: str, mode: int) -> str:
    path.touch(mode=mode)
    path.write_text(text)
    return str(path)
