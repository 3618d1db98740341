"""The job that a child process gets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_nilus.connections import ResolvedSink
    from airflow_provider_nilus.state.starting_point import Start
    from airflow_provider_nilus.task.run import RunOptions, TaskRun
    from nilus.protocol.job import Job
    from nilus.workflow.models import Workflow


def job_of(
    workflow: Workflow,
    task_run: TaskRun,
    options: RunOptions,
    begun: Start,
    *,
    sink: ResolvedSink,
    env_names: list[str],
    keeps_packages: bool,
    first_try: int,
    repository: str,
    commit: str,
    checkout: str,
    base_dir: str,
    work_dir: str,
    extra_path: list[str],
) -> Job:
    """Return the job.

    Args:
        workflow: the validated document.
        task_run: which run this is.
        options: how to run.
        begun: where the run starts.
        sink: the workflow's sink, resolved.
        env_names: names of the environment variables that the author gives to the source.
        keeps_packages: whether the deployment keeps what was extracted.
        repository: its URL, without credentials.
        first_try: the first try that counts where the record cannot tell.
        commit: full SHA.
        checkout, base_dir, work_dir: absolute paths, see `nilus.protocol.job.Job`.
        extra_path: folders with added packages.
    """
    from airflow_provider_nilus.task.settings import deployment_settings
    from nilus.protocol.job import Job, Run, SinkSpec, SourceSpec

    return Job(
        run=Run(**dataclasses.asdict(task_run), repository=repository, commit=commit),
        source=SourceSpec(**workflow.source.spec_fields()),
        sink=SinkSpec(
            **{
                **workflow.sink.spec_fields(),
                "address": sink.address,
                "display_address": sink.display_address,
                "credentials": sink.credentials,
            }
        ),
        checkout=checkout,
        base_dir=base_dir,
        work_dir=work_dir,
        extra_path=extra_path,
        resources=options.resources,
        state=begun.base.state,
        known_load_ids=list(begun.known),
        replaces=list(begun.replaces),
        removes_after=begun.removes_after,
        adopt=begun.adopt,
        directed_at=begun.directed_at.isoformat() if begun.directed_at else None,
        first_attempt=options.first_try,
        first_try=first_try,
        interval=options.interval,
        backfill=options.backfill,
        on_rerun=options.on_rerun,
        at_least_once=options.at_least_once,
        batching=options.batching or deployment_settings().batching,
        env_names=env_names,
        keeps_packages=keeps_packages,
        log_level=deployment_settings().log_level,
    )
