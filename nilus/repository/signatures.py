"""Signatures of commits: whose count, and git's own verification of them with no other keys than those."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from nilus.errors import RepositoryError
from nilus.git.commands import Git
from nilus.git.program import find_git
from nilus.git.version import check_version
from nilus.programs import process
from nilus.programs.failure import quote_output

# gpg.ssh.allowedSignersFile came with it.
_OLDEST_FOR_SSH = (2, 34)
_FOLDER = "trusted-keys"
# The keys here are trusted because they are here; nothing is looked up and no daemon is started.
_GPG_OPTIONS = """\
batch
no-tty
trust-model always
no-auto-key-retrieve
disable-dirmngr
no-autostart
no-default-keyring
keyring keys.gpg
"""


@dataclass(frozen=True, kw_only=True)
class TrustedKeys:
    """Whose signatures count.

    Args:
        allowed_signers: the text of an OpenSSH allowed-signers file, as `man ssh-keygen` describes it; may be empty.
        openpgp: OpenPGP public keys, ASCII-armoured as `gpg --export --armor` writes them; may be empty.
        origin: where they come from, for messages.

    Raises:
        RepositoryError: there are neither.
    """

    allowed_signers: str = ""
    openpgp: str = ""
    origin: str = "the settings"

    def __post_init__(self) -> None:
        if not self.allowed_signers.strip() and not self.openpgp.strip():
            raise RepositoryError(
                f"Signatures are to be verified, but {self.origin} holds no keys.",
                expected="SSH keys as an allowed-signers file, or OpenPGP public keys, or both",
                found="neither",
                remedy="Put the keys there, or turn verify_signatures off.",
            )

    @property
    def digest(self) -> str:
        """A name for exactly these keys: what was verified with others has to be verified again."""
        return hashlib.sha256(f"{self.allowed_signers}\0{self.openpgp}".encode()).hexdigest()[:16]


def verify(git: Git, folder: Path, commit: str, keys: TrustedKeys) -> None:
    """Verify that a commit is signed with one of the keys.

    Args:
        git: git, for the repository.
        folder: the repository, with the commit in it.
        commit: its full hash.
        keys: whose signatures count.

    Raises:
        RepositoryError: there is no signature, or none that counts; or a program for it is missing.
    """
    keyring = folder / ".git" / _FOLDER
    keyring.mkdir(mode=0o700)
    configuration = [
        # Keys that are not in the keyring are never trusted, whatever a program thinks of them.
        ("gpg.minTrustLevel", "fully"),
        # S/MIME has authorities of the machine behind it, not keys of this keyring.
        ("gpg.x509.program", "false"),
        *_openpgp(keyring, keys, git),
        *_ssh(keyring, keys),
    ]
    problem = git.verify_commit(folder, commit, environ={"GNUPGHOME": str(keyring)}, configuration=configuration)
    if problem is not None:
        raise RepositoryError(
            f"The commit {commit} of {git.url} is not signed by anyone this deployment trusts.",
            expected=f"a good signature with a key of {keys.origin}",
            found=problem or "no signature",
            remedy=f"Sign the commit with such a key (git commit -S), or have the key added to {keys.origin}.",
        )


def _openpgp(keyring: Path, keys: TrustedKeys, git: Git) -> list[tuple[str, str]]:
    if not keys.openpgp.strip():
        return [("gpg.openpgp.program", "false")]
    program = _program("gpg", "gnupg")
    (keyring / "gpg.conf").write_text(_GPG_OPTIONS, encoding="ascii")
    # An empty one: newer versions would otherwise write one that asks for a daemon.
    (keyring / "common.conf").touch()
    (keyring / "keys.asc").write_text(keys.openpgp, encoding="utf-8")
    environ = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "GNUPGHOME": str(keyring)}
    command = [program, "--output", str(keyring / "keys.gpg"), "--dearmor", "--", str(keyring / "keys.asc")]
    # Not --import: it asks a daemon whether there are secret keys, over a socket that this path is too long for.
    try:
        result = process.run(command, folder=keyring, environ=environ, deadline=git.deadline)
    except OSError as problem:
        raise RepositoryError(
            "gpg could not be started.",
            found=problem.strerror or type(problem).__name__,
            remedy="Look at the worker's memory and at its limits of processes and files.",
            retryable=True,
        ) from None
    if result.timed_out or result.status != 0:
        raise RepositoryError(
            f"The OpenPGP keys of {keys.origin} cannot be read.",
            expected="public keys as gpg --export --armor writes them",
            found=quote_output(result.errors, ()) or f"exit status {result.status}",
            remedy="Export them again.",
            retryable=result.timed_out,
        )
    return [("gpg.openpgp.program", program)]


def _ssh(keyring: Path, keys: TrustedKeys) -> list[tuple[str, str]]:
    if not keys.allowed_signers.strip():
        return [("gpg.ssh.program", "false")]
    version = check_version(find_git())
    if version < _OLDEST_FOR_SSH:
        raise RepositoryError(
            "This git cannot verify SSH signatures.",
            expected=f"version {'.'.join(map(str, _OLDEST_FOR_SSH))} or newer",
            found=".".join(map(str, version)),
            remedy="Install a newer git in the image the workers run, or sign with OpenPGP keys.",
        )
    file = keyring / "allowed_signers"
    file.write_text(keys.allowed_signers.rstrip() + "\n", encoding="utf-8")
    return [
        ("gpg.ssh.program", _program("ssh-keygen", "openssh-client")),
        ("gpg.ssh.allowedSignersFile", str(file)),
    ]


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RepositoryError(
            f"Signatures cannot be verified: there is no {name} on this machine.",
            expected=f"the program {name} on the PATH of the worker",
            found=f"PATH={os.environ.get('PATH', '')}",
            remedy=f"Install the Debian package {package} in the image the workers run.",
        )
    return path
