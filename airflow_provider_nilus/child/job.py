"""The job that a child process gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_nilus.connections import ResolvedSink
    from airflow_provider_nilus.state.starting_point import Start
    from airflow_provider_nilus.task.run import RunOptions
    from nilus.protocol.job import Job, Place, Run
    from nilus.workflow.models import Workflow


def job_of(
    workflow: Workflow,
    options: RunOptions,
    begun: Start,
    *,
    run: Run,
    sink: ResolvedSink,
    place: Place,
    keeps_packages: bool,
    first_try: int,
) -> Job:
    """Return the job.

    Args:
        workflow: the validated document.
        options: how to run.
        begun: where the run starts.
        run: which run this is.
        sink: the workflow's sink, resolved.
        place: where the child runs.
        keeps_packages: whether the deployment keeps what was extracted.
        first_try: the first try that counts where the record cannot tell.
    """
    from airflow_provider_nilus.task.settings import deployment_settings
    from nilus.protocol.job import Job, JobOptions, SinkSpec, SourceSpec, StartState

    return Job(
        run=run,
        source=SourceSpec(**workflow.source.spec_fields()),
        sink=SinkSpec(
            **{
                **workflow.sink.spec_fields(),
                "address": sink.address,
                "display_address": sink.display_address,
                "credentials": sink.credentials,
            }
        ),
        place=place,
        state=StartState(
            sources=begun.base.state,
            known_load_ids=list(begun.known),
            replaces=list(begun.replaces),
            removes_after=begun.removes_after,
            adopt=begun.adopt,
            directed_at=begun.directed_at.isoformat() if begun.directed_at else None,
        ),
        options=JobOptions(
            resources=options.resources,
            interval=options.interval,
            backfill=options.backfill,
            on_rerun=options.on_rerun,
            first_attempt=options.first_try,
            first_try=first_try,
            at_least_once=options.at_least_once,
            batching=options.batching or deployment_settings().batching,
            keeps_packages=keeps_packages,
        ),
    )
