"""Which resources a source has: the source is called in a child process, and nothing is read from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_nilus.hooks.custom_source import NilusHook, RunOptions, TaskRun

if TYPE_CHECKING:
    from airflow_provider_nilus.state.record import Record
    from nilus.protocol.job import Job
    from nilus.workflow.models import Workflow

# What `nilus.runtime.discovery.ENTRY` is: importing that would import dlt into the worker.
_ENTRY = "nilus.runtime.discovery:run"


class DiscoveryHook(NilusHook):
    """Finds the resources of a custom source. Takes the arguments of `NilusHook`."""

    child_args: ClassVar[tuple[str, ...]] = ("--entry", _ENTRY)

    def _job(self, *arguments: Any) -> Job:
        """Return the job without what the source has no need to know."""
        job = super()._job(*arguments)
        sink = dataclasses.replace(job.sink, address="", display_address="", staging_bucket=None, credentials={})
        return dataclasses.replace(job, sink=sink)

    def discover(self, workflow: Workflow, task_run: TaskRun, options: RunOptions | None = None) -> list[str]:
        """Return the names of the resources that a run of the workflow would load, in the source's order.

        The sink is looked up, but neither reached nor told to the source's process; no state is read or written.

        Args:
            workflow: the validated document.
            task_run: which run this is.
            options: how to run; those about loading have no part in this.

        Raises:
            NilusError: the source cannot be had, found or called; `retryable` tells whether another try can help.
        """
        options = options or RunOptions()
        with self._attempt(workflow, task_run, options, _NoRecords()) as attempt:
            found = self._run_child(workflow, task_run, options, attempt)
        names = list(found.tables) if found is not None else []
        self.log.info("Resources of the source: %s", ", ".join(names) or "none")
        return names


class _NoRecords:
    """A store for runs that have no state."""

    def read(self, key: str) -> Record:
        """Return an empty record."""
        from airflow_provider_nilus.state.record import Record

        return Record(key=key)

    def write(self, record: Record) -> None:
        """Nothing of such a run is kept."""
        raise NotImplementedError(f"a discovery keeps no record: {record.key!r}")
