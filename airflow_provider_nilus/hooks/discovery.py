"""Which resources a source has: the source is called in a child process, and nothing is read from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_nilus.hooks.custom_source import NilusHook, RunOptions, TaskRun
from airflow_provider_nilus.reporting.run_report import Outcome
from airflow_provider_nilus.task.secrets import hide, of_workflow
from airflow_provider_nilus.task.work_folder import work_folder

if TYPE_CHECKING:
    from airflow_provider_nilus.state.record import Record
    from nilus.protocol.job import Job
    from nilus.workflow.models import Workflow

# What `nilus.runtime.discovery.ENTRY` is: importing that would import dlt into the worker.
_ENTRY = "nilus.runtime.discovery:run"


class DiscoveryHook(NilusHook):
    """Finds the resources of a custom source. Takes the arguments of `NilusHook`."""

    child_args: ClassVar[tuple[str, ...]] = ("--entry", _ENTRY)

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
        from airflow_provider_nilus.state.record_session import RecordSession
        from nilus import repository

        options = options or RunOptions()
        hide(*of_workflow(workflow, self.source_env))
        outcome = self.outcome = Outcome()
        outcome.read(workflow)
        with self.materialise(workflow.repo, expected_commit=options.expected_commit) as checkout:
            outcome.checked_out(checkout)
            turn = RecordSession(
                _NoRecords(),
                task_run.state_key,
                run_id=task_run.run_id,
                run_type=task_run.run_type,
                commit=checkout.commit,
                on_rerun=options.on_rerun,
                cleared=lambda _run_ids: (),
            )
            base_dir = repository.base_dir(checkout, workflow.repo.base_dir)
            with (
                self.prepare(base_dir, checkout, workflow=workflow, options=options) as environment,
                work_folder() as work_dir,
            ):
                job = self._job(
                    workflow,
                    task_run,
                    options,
                    turn.begin(),
                    checkout=checkout,
                    base_dir=base_dir,
                    work_dir=work_dir,
                    environment=environment,
                )
                found = self._run_child(_without_sink(job), turn, environment)
        names = list(found.tables) if found is not None else []
        self.log.info("Resources of the source: %s", ", ".join(names) or "none")
        return names


def _without_sink(job: Job) -> Job:
    """Return the job without what the source has no need to know."""
    sink = dataclasses.replace(job.sink, address="", display_address="", staging_bucket=None, credentials={})
    return dataclasses.replace(job, sink=sink)


class _NoRecords:
    """A store for runs that have no state."""

    def read(self, key: str) -> Record:
        """Return an empty record."""
        from airflow_provider_nilus.state.record import Record

        return Record(key=key)

    def write(self, record: Record) -> None:
        """Nothing of such a run is kept."""
        raise NotImplementedError(f"a discovery keeps no record: {record.key!r}")
