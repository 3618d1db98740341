"""How a task gets at its repository: the deployment's policy, the credentials, and the checkout they lead to."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packaging.version import Version

from airflow_provider_nilus.task.ssh_options import ssh_environment

if TYPE_CHECKING:
    from airflow.providers.git.hooks.git import GitHook
    from airflow.sdk import Connection

    from nilus.errors import RepositoryError
    from nilus.git.commands import Credentials
    from nilus.repository import Checkout, Settings, TrustedKeys
    from nilus.workflow.models import Repo

USERNAME, PASSWORD = "GITSYNC_USERNAME", "GITSYNC_PASSWORD"

_GITHUB_APP = ("github_app_id", "github_installation_id")
_PORTS = {"https": 443, "http": 80}
# Statuses of GitHub's API that are the same at the next try.
_REFUSED = frozenset({400, 401, 403, 404, 422})


@dataclass(frozen=True)
class RepositoryAccess:
    """How one task gets at repositories.

    Credentials are the first of these there is: the connection `git_conn_id`; `GITSYNC_USERNAME` and
    `GITSYNC_PASSWORD` out of `source_env` or the worker's environment; the connection that the document's
    `repo.secretId` names; none, as for a public repository. They are read when they are needed, at each run.

    Args:
        git_conn_id: an Airflow connection, usually of type `git`.
        source_env: what the DAG's author gives to the source.
        get_connection: returns the Airflow connection of an id.
        mask: has Airflow hide texts wherever they turn up.
    """

    git_conn_id: str | None
    source_env: Mapping[str, str]
    get_connection: Callable[[str], Connection]
    mask: Callable[..., None]

    def materialise(self, repo: Repo, *, expected_commit: str | None = None) -> Checkout:
        """Return the checkout of a repository, out of the cache or fetched; use it in a `with` statement.

        Args:
            repo: the workflow's `repo`, its templates rendered.
            expected_commit: the only commit that may be run.

        Raises:
            RepositoryError: the deployment does not allow it, it cannot be reached, the ref is unknown, or the commit
                is not the expected one.
        """
        from nilus import repository

        settings, timeout = self._settings(repo)
        checkout = repository.checkout_from_cache(
            repo.url,
            repo.ref,
            settings=settings,
            submodules=repo.submodules,
            sparse_checkout_file=repo.sparse_checkout_file,
            expected_commit=expected_commit,
        )
        if checkout is not None:
            return checkout
        with self._credentials(repo) as credentials:
            return repository.checkout(
                repo.url,
                repo.ref,
                settings=settings,
                credentials=credentials,
                depth=repo.depth,
                submodules=repo.submodules,
                filter=repo.filter,
                sparse_checkout_file=repo.sparse_checkout_file,
                timeout=timeout,
                expected_commit=expected_commit,
            )

    def test(self, repo: Repo) -> tuple[bool, str]:
        """Ask the server for the ref and fetch nothing.

        Returns:
            Whether that worked, and what to tell the user: the form of a hook's `test_connection`.
        """
        from nilus import repository
        from nilus.errors import NilusError

        try:
            settings, timeout = self._settings(repo)
            with self._credentials(repo) as credentials:
                found = repository.look_up(
                    repo.url, repo.ref, settings=settings, credentials=credentials, timeout=timeout
                )
        except NilusError as error:
            return False, str(error)
        return True, f"{repo.url} answers; {found.name or 'the ref'} is at {found.commit}"

    def _settings(self, repo: Repo) -> tuple[Settings, float]:
        from airflow_provider_nilus.task.settings import deployment_settings
        from nilus import repository

        deployment = deployment_settings()
        settings = repository.Settings(
            cache_dir=deployment.cache_dir,
            cache_max_bytes=deployment.cache_max_bytes,
            allowed_protocols=deployment.allowed_protocols,
            allowed_repositories=deployment.allowed_repositories,
            require_pinned_commit=deployment.require_pinned_commit,
            trusted_keys=self._trusted_keys(deployment.verify_signatures),
        )
        said = "sync_timeout" in repo.model_fields_set
        return settings, repo.sync_timeout if said else deployment.git_timeout

    def _trusted_keys(self, conn_id: str) -> TrustedKeys | None:
        from nilus import repository

        if not conn_id:
            return None
        extra = self._connection(conn_id).extra_dejson
        return repository.TrustedKeys(
            allowed_signers=str(extra.get("allowed_signers") or ""),
            openpgp=str(extra.get("openpgp_public_keys") or ""),
            origin=_name_connection(conn_id),
        )

    @contextmanager
    def _credentials(self, repo: Repo) -> Iterator[Credentials | None]:
        from nilus.git.commands import Credentials

        username = self.source_env.get(USERNAME) or os.environ.get(USERNAME)
        password = self.source_env.get(PASSWORD) or os.environ.get(PASSWORD)
        conn_id = self.git_conn_id or (repo.secret_id if not password else None)
        if conn_id:
            with self._of_connection(conn_id, repo.url) as credentials:
                yield credentials
        elif password:
            yield self._hide(Credentials(username=username, password=password, origin=f"{USERNAME} and {PASSWORD}"))
        else:
            yield None

    @contextmanager
    def _of_connection(self, conn_id: str, url: str) -> Iterator[Credentials]:
        from nilus.git.commands import Credentials

        connection = self._connection(conn_id)
        _check_server(connection, url)
        extra = connection.extra_dejson
        if extra.get(PASSWORD) and not connection.password:
            # A secret of DataOS, carried over field by field.
            username, password = str(extra.get(USERNAME) or "") or None, str(extra[PASSWORD])
            yield self._hide(Credentials(username=username, password=password, origin=_name_connection(conn_id)))
            return
        # Airflow hides the private key itself; nothing prints it.
        passphrase = str(extra.get("private_key_passphrase") or "")
        known = Credentials(
            username=connection.login,
            password=connection.password or None,
            origin=_name_connection(conn_id),
            hidden=(passphrase,) if passphrase else (),
        )
        is_app = any(extra.get(name) for name in _GITHUB_APP)
        with ExitStack() as stack:
            try:
                if is_app:
                    hook = _git_hook(conn_id, url)
                    stack.enter_context(hook.configure_hook_env())
                    made = Credentials(environ=dict(hook.env), origin=_name_connection(conn_id), hidden=known.hidden)
                else:
                    environ = stack.enter_context(ssh_environment(extra))
                    made = replace(known, environ=environ)
            except Exception as problem:  # noqa: BLE001 # GitHub's client library, which need not be here, has its own
                raise _connection_failure(problem, conn_id, known.secrets()) from None
            yield self._hide(made)

    def _connection(self, conn_id: str) -> Connection:
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        from nilus.errors import RepositoryError

        try:
            return self.get_connection(conn_id)
        except AirflowNotFoundException:
            raise RepositoryError(
                f"There is no Airflow connection {conn_id!r}.",
                expected="a connection with this id",
                found="none",
                remedy="Add the connection to Airflow, or correct its id: git_conn_id, repo.secretId, or "
                "verify_signatures in [nilus].",
            ) from None

    def _hide(self, credentials: Credentials) -> Credentials:
        self.mask(*credentials.secrets())
        return credentials


def _name_connection(conn_id: str) -> str:
    return f"the Airflow connection {conn_id!r}"


def _git_hook(conn_id: str, url: str) -> GitHook:
    """Make Airflow's own hook, which asks GitHub for the token of an App.

    Raises:
        ValueError: the provider is missing, or so old that it writes the token into the repository's address.
    """
    installed = _git_provider()
    if installed is None or Version(installed) < Version("1.0"):
        found = f"version {installed}" if installed else "nothing"
        raise ValueError(
            "a GitHub App needs apache-airflow-providers-git[github]>=1.0, whose hook asks GitHub for the token; "
            f"installed is {found}. Before 1.0 the hook writes the token into the repository's address, and so into "
            ".git/config and error messages: Nilus does not use it. Install 1.0, or give the connection a token."
        )
    from airflow.providers.git.hooks.git import GitHook

    with warnings.catch_warnings():
        # About its default for host keys, which no GitHub App uses.
        warnings.simplefilter("ignore")
        return GitHook(git_conn_id=conn_id, repo_url=url)


def _git_provider() -> str | None:
    try:
        return version("apache-airflow-providers-git")
    except PackageNotFoundError:
        return None


def _check_server(connection: Connection, url: str) -> None:
    """Refuse to use a connection for another server than its own: a rendered address must not carry it away."""
    from nilus.errors import RepositoryError

    named = (connection.host or "").strip()
    (host, port), (asked_host, asked_port) = _server(named), _server(url)
    if named and not host and asked_host:
        raise RepositoryError(
            f"The host of the Airflow connection {connection.conn_id!r} cannot be read.",
            expected="the address of a server, such as https://host, or nothing: then it is used for any server",
            found="a path, or an address without a server",
            remedy="Correct the host of the connection.",
        )
    if host and (host != asked_host or (port and asked_port and port != asked_port)):
        raise RepositoryError(
            f"The Airflow connection {connection.conn_id!r} is for another server.",
            expected=f"a repository of {_quote_host(host, port)}, which the connection names as its host",
            found=_quote_host(asked_host, asked_port),
            remedy="Use another connection, or correct the host of this one; without a host it is used for any server.",
        )


def _server(address: str) -> tuple[str, str]:
    """Return the host of an address, and its port if it is one of http(s); empty texts for a path."""
    if address.startswith("/"):
        return "", ""
    if "://" not in address:
        return address.rpartition("@")[2].partition("/")[0].partition(":")[0].lower(), ""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return address.partition("://")[2].rpartition("@")[2].partition("/")[0].lower(), ""
    return parts.hostname or "", str(port) if parts.scheme in _PORTS else ""


def _quote_host(host: str, port: str) -> str:
    return f"{host}:{port}" if port else host


def _connection_failure(problem: Exception, conn_id: str, secrets: list[str]) -> RepositoryError:
    """Say what Airflow's git hook did not like; GitHub's answers come as exceptions of its client library."""
    from nilus.errors import RepositoryError
    from nilus.programs.failure import quote_output

    status = getattr(problem, "status", None)
    from_github = type(problem).__module__.partition(".")[0] == "github" and status not in _REFUSED
    from_network = isinstance(problem, OSError) and not isinstance(problem, FileNotFoundError | PermissionError)
    words = quote_output(str(problem), secrets)
    return RepositoryError(
        f"The Airflow connection {conn_id!r} cannot be used for the repository.",
        expected="a token as its password; or a key, or a GitHub App, in its extra",
        found=f"{type(problem).__name__}: {words}" if words else type(problem).__name__,
        remedy="Correct the connection: docs/repositories.md lists its fields.",
        retryable=from_github or from_network,
    )
