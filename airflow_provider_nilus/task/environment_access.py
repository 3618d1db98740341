"""A task's environment: what the deployment and the DAG's author say about it, and the index's credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airflow_provider_nilus.task.settings import DeploymentSettings
    from nilus.environment import Environment, Index, Isolation

Kind = Literal["shared", "isolated"]

KINDS: tuple[Kind, ...] = ("shared", "isolated")


@dataclass(frozen=True, kw_only=True)
class EnvironmentAccess:
    """Prepares the environment of a task.

    Args:
        get_connection: returns an Airflow connection.
        mask: has Airflow hide secrets.
        environment: `"shared"` or `"isolated"`; None for what the deployment says.
        python: the Python of an isolated environment; None for the worker's.
    """

    get_connection: Callable[[str], Any]
    mask: Callable[..., None]
    environment: str | None = None
    python: str | None = None

    def prepare(self, base_dir: Path, checkout: Path, sink: Callable[[], tuple[str | None, ...]]) -> Environment:
        """Return the environment, in use; use it in a `with` statement.

        Args:
            base_dir: the folder of the source's modules.
            checkout: the repository's root.
            sink: returns the addresses the run writes to; called only where a driver for them has to be installed.

        Raises:
            WorkflowError: the arguments are not known.
            DependencyError: what is asked for contradicts what has to be there, or cannot be had.
        """
        from airflow_provider_nilus.task.settings import deployment_settings
        from nilus import environment

        deployment = deployment_settings()
        isolation = self._isolation(self.environment or deployment.default_environment, sink)
        settings = environment.EnvironmentSettings(
            cache_dir=deployment.cache_dir,
            cache_max_bytes=deployment.cache_max_bytes,
            allow_direct_requirements=deployment.allow_direct_requirements,
            index=self._index(deployment),
        )
        return environment.prepare(base_dir, checkout=checkout, settings=settings, isolation=isolation)

    def _isolation(self, kind: str, sink: Callable[[], tuple[str | None, ...]]) -> Isolation | None:
        from nilus.environment import Isolation
        from nilus.environment.python.runtime_needs import extras_of
        from nilus.errors import WorkflowError

        if kind not in KINDS:
            raise WorkflowError(
                "The operator's `environment` is not known",
                expected=" or ".join(map(repr, KINDS)),
                found=repr(kind),
                remedy="correct the argument",
            )
        if kind == "isolated":
            return Isolation(extras=extras_of(*sink()), python=self.python or None)
        if self.python:
            raise WorkflowError(
                "The operator's `python` needs an isolated environment",
                expected='environment="isolated" beside it: in a shared one the worker\'s own Python runs the source',
                found=f"python={self.python!r} and environment={kind!r}",
                remedy='set environment="isolated", or leave python out',
            )
        return None

    def _index(self, deployment: DeploymentSettings) -> Index | None:
        from nilus.environment import Index

        if not deployment.index_connection:
            return None
        connection = self.get_connection(deployment.index_connection)
        self.mask(connection.password or "")
        return Index(url=connection.host or "", username=connection.login, password=connection.password)
