"""How a caller hands over what git needs to be let in, and how it reaches git: by its environment, nothing else."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from nilus.errors import RepositoryError
from nilus.git.repository_url import RepositoryUrl

_USERNAME = "NILUS_GIT_USERNAME"
_PASSWORD = "NILUS_GIT_PASSWORD"  # noqa: S105
# git hands this text to a shell, so nothing is ever put into it. It answers `get`, and keeps silent on `store`.
_HELPER = (
    f'!f() {{ if test "$1" = get; then printf \'username=%s\\npassword=%s\\n\' "${_USERNAME}" "${_PASSWORD}"; fi; }}; f'
)
# Some servers accept any user name beside a token; none accepts an empty one.
_ANY_USER = "git"
# What airflow.providers.git's GitHook.configure_hook_env() sets, apart from GIT_CONFIG_* and GIT_TERMINAL_PROMPT.
_TAKEN = (
    "GIT_SSH_COMMAND",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "DISPLAY",
    "AIRFLOW_GIT_USER",
    "AIRFLOW_GIT_TOKEN",
)
_SECRET = ("AIRFLOW_GIT_TOKEN",)
# What a helper prints, a line each.
_PRINTED = ("AIRFLOW_GIT_USER", "AIRFLOW_GIT_TOKEN")
_SCOPED_HELPER = re.compile(r"credential\.https?://[^/@\s]+\.helper", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What git needs to be let in; never shown by `repr`.

    Args:
        username, password: a user and a token, for http(s): `GITSYNC_USERNAME` and `GITSYNC_PASSWORD`, or the login
            and password of a connection. They are used for the scheme, host and port of the repository only.
        environ: variables made for git by someone who knows the credential, such as the environment of
            `GitHook.configure_hook_env()`. Those that are about credentials are taken, the others are not.
        origin: what to call them in a message: "the Airflow connection 'git_default'".
        hidden: further secrets that no message may show, such as the passphrase of a key.

    Raises:
        RepositoryError: a value holds a line break or a NUL, which would let it say more than one thing.
    """

    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    origin: str = ""
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name, value in (
            ("user name", self.username),
            ("password", self.password),
            *(("credential", self.environ.get(name)) for name in _PRINTED),
        ):
            if value is not None and any(character in value for character in "\r\n\0"):
                raise RepositoryError(
                    f"The {name} for the repository has a line break in it{self.origin and f' ({self.origin})'}.",
                    expected="one line",
                    found=f"{len(value.splitlines())} lines" if value.strip() else "line breaks only",
                    remedy="Look at how it was stored: often a newline at its end came from a file.",
                )

    def variables(self) -> dict[str, str]:
        """Return the environment variables git and its helpers need."""
        taken = {name: self.environ[name] for name in _TAKEN if name in self.environ}
        if "GIT_SSH_COMMAND" in taken:
            taken["GIT_SSH_COMMAND"] = _ssh_command(taken["GIT_SSH_COMMAND"], has_passphrase="SSH_ASKPASS" in taken)
        if self.password:
            taken |= {_USERNAME: self.username or _ANY_USER, _PASSWORD: self.password}
        return taken

    def configuration(self, url: RepositoryUrl) -> list[tuple[str, str]]:
        """Return git's configuration for this repository, in order: keys and values, none of them a secret.

        Raises:
            RepositoryError: `environ` names a credential helper that would answer any host.
        """
        # An empty value drops the helpers known so far.
        entries = [("credential.helper", "")]
        entries += [entry for entry in _entries(self.environ) if _is_helper(*entry)]
        if self.password and url.credential_scope:
            entries.append((f"credential.{url.credential_scope}.helper", _HELPER))
        return entries

    def describe(self, url: RepositoryUrl) -> str:
        """Say what a server is shown of these, for a message that says it was not let in."""
        if url.protocol == "ssh":
            mine = "GIT_SSH_COMMAND" in self.environ
            return f"the credential of {self.origin or 'the caller'}" if mine else "the keys of the worker's user"
        if self.password or any(self.environ.get(name) for name in _SECRET):
            return f"the credential of {self.origin or 'the caller'}"
        return f"no credential, for {self.origin} has neither password nor token" if self.origin else "no credential"

    def secrets(self) -> list[str]:
        """Return the texts that no message may show."""
        return [*self.tokens(), *self.hidden, *self.basic_authorizations()]

    def tokens(self) -> list[str]:
        """Return the passwords and tokens as they are."""
        return [token for token in (self.password, *map(self.environ.get, _SECRET)) if token]

    def basic_authorizations(self) -> list[str]:
        """Return what HTTP's basic authentication sends: users and tokens, together in base64."""
        users = [self.username or _ANY_USER, self.environ.get("AIRFLOW_GIT_USER")]
        texts = [f"{user}:{token}" for user in users if user for token in self.tokens()]
        return [base64.b64encode(text.encode()).decode() for text in texts]


def _ssh_command(command: str, *, has_passphrase: bool) -> str:
    """Add to a command of OpenSSH what ours has: no configuration of the machine or a user, no questions.

    With a passphrase ssh must be able to ask for it (`SSH_ASKPASS`, and so no `BatchMode`); then it must not be asked
    for a password, for it would get the passphrase and tell it to the server. What the command says itself wins.
    """
    words = shlex.split(command)
    if not words or PurePath(words[0]).name != "ssh":
        return command
    options = ["-o PasswordAuthentication=no", "-o KbdInteractiveAuthentication=no"]
    if not has_passphrase:
        options.append("-o BatchMode=yes")
    if not any(word.startswith("-F") for word in words):
        options.append("-F /dev/null")
    return " ".join([command, *options])


def _entries(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the entries of `GIT_CONFIG_COUNT`; those its owner left to another environment are missing here."""
    try:
        count = int(environ.get("GIT_CONFIG_COUNT", "0"))
    except ValueError:
        count = 0
    for number in range(count):
        key, value = environ.get(f"GIT_CONFIG_KEY_{number}"), environ.get(f"GIT_CONFIG_VALUE_{number}")
        if key is not None and value is not None:
            yield key, value


def _is_helper(key: str, value: str) -> bool:
    if _SCOPED_HELPER.fullmatch(key):
        return True
    if key.lower() == "credential.helper" and value:
        raise RepositoryError(
            "The credential for the repository would be given to any server that asks.",
            expected="a credential helper for one host: credential.https://host.helper",
            found="credential.helper",
            remedy="Use a git connection of apache-airflow-providers-git, or a user name and a password.",
        )
    return False
