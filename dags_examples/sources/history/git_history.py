"""The history of a Git repository as two tables: its commits and the files each of them changed."""

import logging
import subprocess
from collections.abc import Iterator
from urllib.parse import parse_qs, urlparse

import nilus
from nilus import CustomSource

logger = logging.getLogger(__name__)

FIELD, RECORD = "\x1f", "\x1e"
COMMIT_FIELDS = ("sha", "parents", "author", "authored_at", "committed_at", "subject")
COMMIT_FORMAT = RECORD + FIELD.join(("%H", "%P", "%an", "%aI", "%cI", "%s"))


def git(repository: str, *arguments: str) -> Iterator[str]:
    """Yield the output of a git command, record by record."""
    command = ["git", "-c", "safe.directory=*", "-C", repository, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        rest = ""
        for line in process.stdout:
            before, separator, after = (rest + line).rpartition(RECORD)
            if separator:
                yield from filter(None, before.split(RECORD))
                rest = after
            else:
                rest = after
        message = process.stderr.read()
    if process.returncode:
        raise RuntimeError(f"git {arguments[0]} failed: {message.strip()}")
    if rest:
        yield rest


def new_commits(repository: str, *extra: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (header, lines) of every commit that the last run has not seen, oldest first, and remember the newest."""
    state = nilus.current.resource_state()
    tip = next(git(repository, "rev-parse", "HEAD")).strip()
    seen = state.get("tip")
    if seen == tip:
        logger.info("No commit since %s", seen[:12])
        return
    revisions = [tip, f"^{seen}"] if seen else [tip]
    for record in git(repository, "log", "--reverse", f"--format={COMMIT_FORMAT}", *extra, *revisions, "--"):
        header, *lines = record.splitlines()
        yield header, lines
    state["tip"] = tip


@nilus.resource(write_disposition="append")
def commits(repository):
    for header, _ in new_commits(repository):
        row = dict(zip(COMMIT_FIELDS, header.split(FIELD), strict=True))
        row["parents"] = len(row["parents"].split())
        yield row


@nilus.resource(write_disposition="append")
def changed_files(repository):
    for header, lines in new_commits(repository, "--numstat"):
        sha = header.split(FIELD)[0]
        for line in filter(None, lines):
            added, deleted, path = line.split("\t", 2)
            yield {
                "sha": sha,
                "path": path,
                "added": None if added == "-" else int(added),
                "deleted": None if deleted == "-" else int(deleted),
            }


@nilus.source
def git_history(repository):
    return commits(repository), changed_files(repository)


class GitHistory(CustomSource):
    """`custom://GitHistory?repository=/path/to/a/repository`: incremental by commit."""

    def handles_incrementality(self) -> bool:
        return True

    def nilus_source(self, uri: str, table: str, **kwargs):
        return git_history(parse_qs(urlparse(uri).query)["repository"][0])
