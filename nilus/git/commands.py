"""The one place that runs git.

Each verb has one fixed list of arguments. What comes from outside (an address, a ref, a path) has been checked
before it gets here, and stands behind `--end-of-options` or `--` all the same. Git's environment is made from
nothing, its configuration is given in it (`GIT_CONFIG_COUNT`), and no file of the machine's or a user's
configuration is read. No secret is ever an argument or in a file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nilus.errors import RepositoryError
from nilus.git import failure, program, refs
from nilus.git.credentials import Credentials
from nilus.git.repository_url import RepositoryUrl
from nilus.git.version import check_git, check_version
from nilus.programs.deadline import Deadline
from nilus.programs.failure import quote_output
from nilus.programs.process import Result

__all__ = ["Credentials", "Git", "check_git"]

# Proxies and certificates are the machine's business, not the repository's.
_KEPT = (
    "PATH",
    "TMPDIR",
    "http_proxy",
    *(name for both in ("https_proxy", "all_proxy", "no_proxy") for name in (both, both.upper())),
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSH_AUTH_SOCK",
)
# git's own variables for certificates, and where they come from if they are missing: the library git speaks https
# with does not read what other programs do.
_CERTIFICATES = {
    "GIT_SSL_CAINFO": ("CURL_CA_BUNDLE", "SSL_CERT_FILE"),
    "GIT_SSL_CAPATH": ("SSL_CERT_DIR",),
}
_FIXED = {
    "HOME": "/dev/null",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    # Empty, not missing: git would go on to SSH_ASKPASS, which has a key's passphrase to tell, and not to a server.
    "GIT_ASKPASS": "",
    "GIT_PAGER": "cat",
    "GIT_SSH_COMMAND": "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes",
}
_CONFIGURATION = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.autocrlf", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("http.followRedirects", "false"),
    ("transfer.credentialsInUrl", "die"),
    ("protocol.version", "2"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    # What git writes for itself is thrown away when the files are there.
    ("core.fsync", "none"),
    # One pack instead of a file for every object.
    ("fetch.unpackLimit", "1"),
    ("advice.detachedHead", "false"),
    ("init.defaultBranch", "none"),
)


@dataclass(frozen=True, kw_only=True)
class Git:
    """Git, for one repository.

    Args:
        url: the repository's address.
        allowed_protocols: what git may use, for the repository and for its submodules.
        allowed_repositories: which repositories may be fetched, the submodules among them; see
            `nilus.repository.allow_list`. Empty for all.
        credentials: how it is let in.
        deadline: when whatever runs is ended.
        keep_open: file descriptors git inherits: locks that are to live as long as it does.
    """

    url: RepositoryUrl
    allowed_protocols: Sequence[str]
    deadline: Deadline
    credentials: Credentials = field(default_factory=Credentials)
    allowed_repositories: Sequence[str] = ()
    keep_open: Sequence[int] = ()

    def ls_remote(self, names: Iterable[str] = ()) -> dict[str, str]:
        """Ask the server for its refs: those with these full names, or all of them.

        Returns:
            Full name to hash, as `refs.parse_advertised` says.
        """
        arguments = ["ls-remote", "--symref", "--end-of-options", self.url.text, *names]
        # GIT_DIR: or git would read the configuration of a repository around its working directory.
        output = self._run(arguments, Path("/"), "read the refs of", {"GIT_DIR": "/dev/null"})
        return refs.parse_advertised(output.decode("utf-8", "replace"))

    def init(self, folder: Path, *, sha256: bool = False) -> None:
        """Make an empty repository in an empty folder, with the address as its remote `origin`."""
        object_format = "sha256" if sha256 else "sha1"
        self._run(["init", "--quiet", "--template=", f"--object-format={object_format}"], folder, "prepare to fetch")
        self._run(["remote", "add", "--end-of-options", "origin", self.url.text], folder, "prepare to fetch")

    def fetch(self, folder: Path, refspecs: Iterable[str], *, depth: int = 0, filter_spec: str | None = None) -> bool:
        """Fetch something from `origin`.

        Args:
            folder: the repository, made by `init`.
            refspecs: what: hashes or full names, or patterns of ours.
            depth: how many commits of the history; 0 for all.
            filter_spec: which objects to leave out for now, as git-rev-list's `--filter` says.

        Returns:
            False if the server does not give that, or not in that way, but may give more.
        """
        arguments = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--force"]
        if depth:
            arguments.append(f"--depth={depth}")
        elif (folder / ".git" / "shallow").exists():
            arguments.append("--unshallow")
        if filter_spec:
            arguments.append(f"--filter={filter_spec}")
        return self._got([*arguments, "--end-of-options", "origin", *refspecs], folder, "fetch")

    def commit_of(self, folder: Path, revision: str) -> str | None:
        """Return the full hash of the commit that a hash, or HEAD, leads to; None if there is none."""
        arguments = ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}"]
        result = self._result(arguments, folder, {"GIT_NO_LAZY_FETCH": "1"})
        return result.output.decode("ascii", "replace").strip() if result.status == 0 else None

    def paths(self, folder: Path, commit: str) -> list[str]:
        """Return the paths of everything in a commit."""
        arguments = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", commit]
        output = self._run(arguments, folder, "list the files of")
        return output.decode("utf-8", "surrogateescape").split("\0")[:-1]

    def size(self, folder: Path, commit: str) -> int:
        """Return the bytes of all files of a commit, as they would be written; of blobs that are there."""
        arguments = ["ls-tree", "-r", "-l", "-z", "--full-tree", "--end-of-options", commit]
        entries = self._run(arguments, folder, "list the files of").split(b"\0")[:-1]
        sizes = (entry.partition(b"\t")[0].rpartition(b" ")[2] for entry in entries)
        return sum(int(size) for size in sizes if size.isdigit())

    def file_content(self, folder: Path, commit: str, path: str) -> bytes | None:
        """Return what a file of a commit holds, or None if the commit has no such file."""
        # `cat-file` knows no --end-of-options before 2.43; what begins with a commit's hash is no option.
        result = self._result(["cat-file", "blob", f"{commit}:{path}"], folder)
        return result.output if result.status == 0 else None

    def check_out(self, folder: Path, commit: str, *, sparse: bool = False) -> None:
        """Write a commit's files, all or those `.git/info/sparse-checkout` lists."""
        # `checkout` takes --end-of-options for a path; a commit's hash is no option.
        configuration = [("core.sparseCheckout", "true"), ("core.sparseCheckoutCone", "false")] if sparse else []
        arguments = ["checkout", "--quiet", "--detach", "--force", commit, "--"]
        self._run(arguments, folder, "check out", configuration=configuration)

    def read_gitmodules(self, folder: Path) -> list[tuple[str, str]] | None:
        """Return the keys and values of a work tree's `.gitmodules`, which exists; None if it cannot be read."""
        # The path is absolute: git would look for a relative one from the top of the work tree.
        arguments = ["config", "--file", str(folder / ".gitmodules"), "--no-includes", "--null", "--list"]
        result = self._result(arguments, folder)
        if result.status != 0:
            return None
        pairs = (entry.partition("\n") for entry in result.output.decode("utf-8", "surrogateescape").split("\0")[:-1])
        return [(key, value) for key, _, value in pairs]

    def update_submodules(self, folder: Path, urls: Mapping[str, str], *, depth: int = 0) -> bool:
        """Fetch and check out a work tree's own submodules, not theirs; the result is that of `fetch`.

        Args:
            folder: the work tree.
            urls: where each submodule is fetched from, by its name, whatever `.gitmodules` says.
            depth: how many commits of their history; 0 for all.
        """
        arguments = ["submodule", "--quiet", "update", "--init", "--checkout", "--force"]
        if depth:
            arguments.append(f"--depth={depth}")
        configuration = [(f"submodule.{name}.url", url) for name, url in urls.items()]
        return self._got([*arguments, "--"], folder, "fetch the submodules of", configuration)

    def verify_commit(
        self, folder: Path, commit: str, *, environ: Mapping[str, str], configuration: Iterable[tuple[str, str]]
    ) -> str | None:
        """Have git verify the signature of a commit.

        Args:
            folder: the repository.
            commit: the commit's full hash.
            environ, configuration: which programs and keys git uses for that.

        Returns:
            None if it is good, else what git and the program it uses said: nothing if there is no signature.
        """
        result = self._result(["verify-commit", commit], folder, dict(environ), configuration)
        if result.timed_out:
            self._check(result, f"verify the commit {commit} of {self.url}")
        return None if result.status == 0 else quote_output(result.errors, self.credentials.secrets())

    def _run(
        self,
        arguments: Sequence[str],
        folder: Path,
        doing: str,
        environ: dict[str, str] | None = None,
        configuration: Iterable[tuple[str, str]] = (),
    ) -> bytes:
        result = self._result(arguments, folder, environ, configuration)
        self._check(result, f"{doing} {self.url}")
        return result.output

    def _got(
        self, arguments: Sequence[str], folder: Path, doing: str, configuration: Iterable[tuple[str, str]] = ()
    ) -> bool:
        result = self._result(arguments, folder, configuration=configuration)
        if not result.timed_out and result.status != 0 and failure.ask_for_more(result.errors):
            return False
        self._check(result, f"{doing} {self.url}")
        return True

    def _check(self, result: Result, doing: str) -> None:
        secrets = self.credentials.secrets()
        if result.timed_out:
            raise RepositoryError(
                f"git could not {doing} within {self.deadline.seconds:g} seconds.",
                expected=f"the server {self.url.server} to be done in that time",
                found=quote_output(result.errors, secrets) or "no end and no message",
                remedy="Give it more time (--sync-timeout, or git_timeout in the settings), fetch less (--depth, "
                "--filter), or look at the server.",
                retryable=True,
            )
        if result.flooded:
            raise RepositoryError(f"git could not {doing}: the answer is too long.", remedy="Look at the server.")
        if result.status != 0:
            raise failure.failure(
                doing=doing,
                server=self.url.server,
                credential=self.credentials.describe(self.url),
                status=result.status,
                output=result.errors,
                secrets=secrets,
            )

    def _result(
        self,
        arguments: Sequence[str],
        folder: Path,
        environ: dict[str, str] | None = None,
        configuration: Iterable[tuple[str, str]] = (),
    ) -> Result:
        git = program.find_git()
        check_version(git)
        whole = self._environment(folder, configuration) | (environ or {})
        return program.run(
            [git, *arguments], folder=folder, environ=whole, deadline=self.deadline, keep_open=self.keep_open
        )

    def _environment(self, folder: Path, configuration: Iterable[tuple[str, str]]) -> dict[str, str]:
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ} | _FIXED
        for name, others in _CERTIFICATES.items():
            given = next(filter(None, map(environ.get, (name, *others))), None)
            if given:
                environ[name] = given
        environ |= self.credentials.variables()
        environ["GIT_ALLOW_PROTOCOL"] = ":".join(self.allowed_protocols)
        environ["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
        entries = [*_CONFIGURATION, *self._patience(), *configuration, *self.credentials.configuration(self.url)]
        environ["GIT_CONFIG_COUNT"] = str(len(entries))
        for number, (key, value) in enumerate(entries):
            environ[f"GIT_CONFIG_KEY_{number}"] = key
            environ[f"GIT_CONFIG_VALUE_{number}"] = value
        return environ

    def _patience(self) -> list[tuple[str, str]]:
        """A git whose parent was killed ends by itself when nothing has come for as long as we would have waited."""
        return [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", str(math.ceil(self.deadline.seconds) + 1))]
