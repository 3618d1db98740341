"""What git's last lines mean: which kind of failure, what to do, whether trying again can help."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nilus.errors import RepositoryError
from nilus.programs.failure import kind, kind_of, program_error, quote_output

# The server gives out no commit by its hash, or no part of the history.
_ASK_FOR_MORE = re.compile(
    r"unadvertised object|not our ref|couldn't find remote ref|Direct fetching of that commit failed|"
    r"dumb http transport|does not support shallow|does not support --depth",
    re.IGNORECASE,
)

_AGAIN = "Nothing, if it was a passing fault: the task may be tried again. Else look at the server and the network."

# The first that matches counts.
_KINDS = (
    kind(
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        "Free some space there, lower cache_max_bytes, or set cache_dir to a larger disk.",
        retryable=True,
    ),
    kind(
        r"transport '.*' not allowed",
        "it asks for a protocol that is not allowed here",
        "Use https or ssh addresses, in .gitmodules too; or have the protocol added to allowed_protocols.",
    ),
    kind(
        r"unable to update url base from redirection|requested URL returned error: 30\d",
        "the server redirects to another address, and redirects are not followed, as they could carry credentials away",
        "Write the repository's present address: open the old one in a browser and copy where it leads, .git included.",
    ),
    kind(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the server's SSH host key is not known, or not the one that is known",
        "Put the server's host key into a known_hosts file and name it in the git connection (known_hosts_file).",
    ),
    kind(
        r"Permission denied \(|Authentication failed|could not read (?:Username|Password)|HTTP Basic: Access denied|"
        r"returned error: 40[13]|Load key .*: |Too many authentication failures|terminal prompts disabled|"
        r"(?:invalid|wrong) (?:credentials|username|password)",
        "the server did not let us in",
        "Check the user, the token or key and what it may read: in the git connection, or in GITSYNC_USERNAME and "
        "GITSYNC_PASSWORD. Without either, only public repositories can be read.",
        about_credential=True,
    ),
    kind(
        r"invalid path '",
        "it has a file under a name that git does not write, because it could be mistaken for git's own",
        "Remove the file from the repository.",
    ),
    kind(
        r"detected dubious ownership",
        "the repository belongs to another user of this machine",
        "Make the repository belong to the worker's user, or serve it by https or ssh.",
    ),
    kind(
        r"certificate (?:problem|verif)|server certificate verification failed|unable to get local issuer|"
        r"error setting certificate",
        "the server's certificate is not trusted",
        "Name a file with the authority's certificate, and with all others that are needed, in the worker's "
        "SSL_CERT_FILE or GIT_SSL_CAINFO.",
    ),
    kind(
        r"returned error: 404|repository '.*' not found|Repository not found|does not appear to be a git repository|"
        r"could not be found|does not exist|not valid: is this a git repository",
        "the server has no such repository, or does not show it to us",
        "Check the address; if the repository is private, check the credential too: many servers say 'not found'.",
        about_credential=True,
    ),
    kind(
        r"Could not resolve host|Temporary failure in name resolution|Name or service not known",
        "the server's name could not be resolved",
        "Check the address and the worker's name service.",
        retryable=True,
    ),
    kind(
        r"Failed to connect|Connection (?:refused|timed out|reset|closed)|Couldn't connect|No route to host|"
        r"Network is unreachable|Could not connect",
        "no connection to the server",
        _AGAIN,
        retryable=True,
    ),
    kind(
        r"returned error: (?:5\d\d|429|408)",
        "the server failed or is overloaded",
        _AGAIN,
        retryable=True,
    ),
    kind(
        r"early EOF|unexpected disconnect|hung up unexpectedly|remote end hung up|RPC failed|transfer closed|"
        r"invalid index-pack output|Operation too slow|kex_exchange|SSL_|gnutls|unexpected EOF|bad pack header",
        "the connection broke",
        _AGAIN,
        retryable=True,
    ),
)


def ask_for_more(output: str) -> bool:
    """Whether what git printed means: the server does not give this alone, but may give it with more."""
    return _ASK_FOR_MORE.search(output) is not None


def failure(
    *, doing: str, server: str, credential: str, status: int, output: str, secrets: Iterable[str]
) -> RepositoryError:
    """Return the error for a git command that failed.

    Args:
        doing: what git was doing to which repository, after "git could not".
        server: the other side's name.
        credential: what was presented to it, in words.
        status: git's exit status; negative for a signal.
        output: what it printed to standard error; may hold secrets, comes from the server in part.
        secrets: what must not be seen.
    """
    return program_error(
        RepositoryError,
        program="git",
        doing=doing,
        status=status,
        kind=kind_of(output, _KINDS, "git"),
        words=quote_output(output, secrets),
        presented=f"{server} was given {credential}",
    )
