"""Extra links: from a task instance to the commit whose code it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

# A part of the host's name, and where a commit is below the repository. Self-hosted servers are known by their names.
_SERVERS = (
    ("github", "{repository}/commit/{commit}"),
    ("gitlab", "{repository}/-/commit/{commit}"),
    ("bitbucket.org", "{repository}/commits/{commit}"),
    ("dev.azure.com", "{repository}/commit/{commit}"),
    ("visualstudio.com", "{repository}/commit/{commit}"),
)
_AZURE_SSH = ("ssh.dev.azure.com", "vs-ssh.visualstudio.com")


class CommitLink(BaseOperatorLink):
    """To the page of the commit on its server.

    Airflow asks for it in the worker when the task has ended, so that it can say which commit was run.
    """

    name = "Commit"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the page's address; empty if the task got no commit, or its server has no such page."""
        ran: dict[str, Any] = getattr(operator, "ran", {})
        return commit_page(ran.get("repository", ""), ran.get("commit", ""))


def commit_page(repository: str, commit: str) -> str:
    """Return the address of a commit's page; empty for a server whose pages are not known.

    Args:
        repository: the repository's URL, without credentials; HTTPS or SSH, also `user@host:path`.
        commit: full SHA.
    """
    host, path = _host_and_path(repository)
    if not (host and path and commit):
        return ""
    if host in _AZURE_SSH:
        host, path = _azure(host, path)
    for part, form in _SERVERS:
        if part in host:
            return form.format(repository=f"https://{host}/{quote(path)}", commit=commit)
    return ""


def _host_and_path(repository: str) -> tuple[str, str]:
    if "://" not in repository:
        host, separator, path = repository.rpartition("@")[2].partition(":")
        return (host.lower(), _clean(path)) if separator else ("", "")
    parts = urlsplit(repository)
    if parts.scheme not in ("https", "http", "ssh"):
        return "", ""
    host = (parts.hostname or "").lower()
    # The port of an SSH address is not that of the web pages.
    port = f":{parts.port}" if parts.port and parts.scheme != "ssh" else ""
    return f"{host}{port}", _clean(parts.path)


def _clean(path: str) -> str:
    return path.strip("/").removesuffix(".git")


def _azure(host: str, path: str) -> tuple[str, str]:
    """Turn `v3/organisation/project/repository` of Azure's SSH addresses into its web address."""
    organisation, project, repository = [*path.removeprefix("v3/").split("/"), "", ""][:3]
    if host.startswith("ssh."):
        return "dev.azure.com", f"{organisation}/{project}/_git/{repository}"
    return f"{organisation}.visualstudio.com", f"{project}/_git/{repository}"
