"""The hook: materialise the repository, prepare its environment, run the source, keep its state."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseHook

from airflow_provider_nilus.reporting.run_report import Outcome
from airflow_provider_nilus.task.environment_access import EnvironmentAccess
from airflow_provider_nilus.task.repository_access import RepositoryAccess
from airflow_provider_nilus.task.run import RunOptions as RunOptions
from airflow_provider_nilus.task.run import TaskRun as TaskRun
from airflow_provider_nilus.task.secrets import hide, of_workflow, redact_text
from airflow_provider_nilus.task.sink_access import SinkAccess
from airflow_provider_nilus.task.work_folder import work_folder

if TYPE_CHECKING:
    from airflow_provider_nilus.child.process import ChildProcess
    from airflow_provider_nilus.state.package_store import PackageStore
    from airflow_provider_nilus.state.record_session import RecordSession
    from airflow_provider_nilus.state.starting_point import Start
    from airflow_provider_nilus.state.store import StateStore
    from nilus.environment import Environment
    from nilus.protocol.events import Loaded
    from nilus.protocol.job import Job
    from nilus.repository.fetch import Checkout
    from nilus.workflow.models import Repo, Workflow


@dataclass
class _Attempt:
    """What a child is run with; `begun` is where it starts, and changes if it has to begin again."""

    checkout: Checkout
    base_dir: Path
    environment: Environment
    turn: RecordSession
    begun: Start


class NilusHook(BaseHook):
    """Runs a Nilus custom source. Usable without the operator, inside a task.

    Args:
        git_conn_id: Airflow connection of type `git` for the repository. None: `GITSYNC_USERNAME` and
            `GITSYNC_PASSWORD` out of `source_env` or the worker's environment if they are there, else nothing, as
            for a public repository.
        source_env: environment variables for the source, in addition to the worker's own. They also fill `{NAME}`
            in addresses.
        state: where the record is kept: `"variable"`, `"xcom"` or a store of your own.
        nilus_conn_id: the sink's connection that `test_connection` is about; runs name theirs in the workflow.
    """

    conn_name_attr = "nilus_conn_id"
    default_conn_name = "nilus_default"
    conn_type = "nilus"
    hook_name = "Nilus sink"
    child_args: ClassVar[tuple[str, ...]] = ()
    """Further arguments of the child process."""

    def __init__(
        self,
        *,
        git_conn_id: str | None = None,
        source_env: Mapping[str, str] | None = None,
        state: str | StateStore = "variable",
        nilus_conn_id: str = default_conn_name,
    ) -> None:
        super().__init__()
        self.nilus_conn_id = nilus_conn_id
        self.git_conn_id = git_conn_id
        self.source_env = dict(source_env or {})
        self.state = state
        self.outcome = Outcome()
        self._packages: PackageStore | None = None
        self._child: ChildProcess | None = None
        self._terminated = False

    def run(self, workflow: Workflow, task_run: TaskRun, options: RunOptions | None = None) -> dict[str, Any]:
        """Run the workflow's source into its sink once.

        Args:
            workflow: the validated document.
            task_run: which run this is.
            options: how to run.

        Returns:
            What was loaded, as small JSON: `commit`, `rows`, `load_ids`, `dataset`, `destination`, `state_version`,
            `duration_s` and more.

        Raises:
            NilusError: the run failed; `retryable` tells whether another try can help.
        """
        from airflow_provider_nilus.reporting.summary import closing_table
        from airflow_provider_nilus.state.stores import open_store

        options = options or RunOptions()
        started = time.monotonic()
        self._packages = self._package_store(task_run)
        with self._attempt(workflow, task_run, options, open_store(self.state, task_run)) as attempt:
            while (loaded := self._run_child(workflow, task_run, options, attempt)) is None:
                self.log.info("State: the record has moved, or a newer one was found: begins again")
                attempt.begun = attempt.turn.begin()
        outcome, checkout, environment, begun = self.outcome, attempt.checkout, attempt.environment, attempt.begun
        outcome.has_loaded(loaded)
        self.log.info("Loaded:\n%s", closing_table(loaded))
        version = attempt.turn.commit(loaded)
        if self._packages is not None:
            known = {*loaded.load_ids, *begun.known, *begun.replaces, *(event.load_id for event in outcome.adopted)}
            self._packages.remove_settled(known, run=task_run.with_commit(checkout.url, checkout.commit))
        return {
            "commit": checkout.commit,
            "ref": checkout.ref_name,
            "repository": checkout.url,
            "rows": {name: table["rows"] for name, table in loaded.tables.items()},
            "load_ids": loaded.load_ids,
            "assets": {name: outcome.name(name).uri for name in loaded.tables},
            "environment": "isolated" if environment.is_isolated else "shared",
            "packages": list(environment.packages),
            "dataset": loaded.dataset,
            "destination": loaded.destination,
            "reading": loaded.reading,
            "interval": list(loaded.interval) if loaded.interval else None,
            "state_key": task_run.state_key,
            "state_version": version,
            "seconds": loaded.seconds,
            "duration_s": round(time.monotonic() - started, 3),
        }

    def materialise(self, repo: Repo, *, expected_commit: str | None = None) -> Checkout:
        """Return the checkout of a repository, out of the cache or fetched; use it in a `with` statement.

        Raises:
            RepositoryError: the deployment does not allow it, it cannot be reached, the ref is unknown, or the commit
                is not the expected one.
        """
        checkout = self._repository_access().materialise(repo, expected_commit=expected_commit)
        self.log.info("Repository %s at commit %s (%s)", checkout.url, checkout.commit, checkout.ref_name)
        return checkout

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of the connection's form as Airflow 3.1 asks for them; later versions ask no hook."""
        from airflow_provider_nilus.connections import forms

        return forms.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the connection's form hides and renames, for Airflow 3.1 likewise."""
        from airflow_provider_nilus.connections import forms

        return forms.behaviour(cls.conn_type)

    def test_repository(self, repo: Repo) -> tuple[bool, str]:
        """Ask the repository's server for the ref and fetch nothing; whether that worked, and what to tell the user."""
        return self._repository_access().test(repo)

    def test_connection(self) -> tuple[bool, str]:
        """Look for git, and reach the sink of the connection; whether that worked, and what to tell the user."""
        from airflow_provider_nilus.connections import reach
        from airflow_provider_nilus.connections.forms import one_line
        from nilus.errors import NilusError

        there, git = self.check_git()
        if not there:
            return False, one_line(git)
        try:
            sink = self._sinks().resolve(f"dataos://{self.nilus_conn_id}")
            reach(sink)
        except NilusError as error:
            return False, one_line(error)
        return True, f"{sink.display_address} can be reached; {git}"

    def check_git(self) -> tuple[bool, str]:
        """Look for a git that can be used; whether there is one, and what to tell the user."""
        from nilus.errors import NilusError
        from nilus.git.commands import check_git

        try:
            return True, f"git {check_git()}"
        except NilusError as error:
            return False, str(error)

    def prepare(
        self, base_dir: Path, checkout: Checkout, *, workflow: Workflow, options: RunOptions | None = None
    ) -> Environment:
        """Return the environment the source runs in; use it in a `with` statement.

        Raises:
            WorkflowError: the options for it are not known.
            DependencyError: the source's requirements contradict what has to be there, or cannot be had.
        """
        options = options or RunOptions()
        access = EnvironmentAccess(
            get_connection=self.get_connection,
            mask=hide,
            environment=options.environment,
            python=options.python,
        )

        return access.prepare(base_dir, checkout.path, lambda: self._sinks().addresses(workflow))

    def terminate(self) -> None:
        """End the child and everything it started; safe from a signal handler."""
        self._terminated = True
        if self._child is not None:
            self._child.terminate()

    def _first_try(self, options: RunOptions) -> int:
        """Return the first try that counts: a run's own XComs are gone when it starts, a Variable tells by itself."""
        return options.first_try if self.state == "xcom" else 1

    def _repository_access(self) -> RepositoryAccess:
        return RepositoryAccess(
            git_conn_id=self.git_conn_id,
            source_env=self.source_env,
            get_connection=self.get_connection,
            mask=hide,
        )

    def _sinks(self) -> SinkAccess:
        return SinkAccess(source_env=self.source_env, get_connection=self.get_connection, mask=hide)

    @staticmethod
    def _package_store(task_run: TaskRun) -> PackageStore | None:
        from airflow_provider_nilus.state.package_store import PackageStore
        from airflow_provider_nilus.task.settings import deployment_settings

        root = deployment_settings().package_store
        return PackageStore(root, task_run.state_key) if root else None

    @contextlib.contextmanager
    def _attempt(
        self, workflow: Workflow, task_run: TaskRun, options: RunOptions, store: StateStore
    ) -> Iterator[_Attempt]:
        """Have everything that a child needs, for the time of the block."""
        from airflow_provider_nilus.state.record_session import RecordSession
        from nilus import repository

        hide(*of_workflow(workflow, self.source_env))
        outcome = self.outcome = Outcome()
        outcome.read(workflow)
        with self.materialise(workflow.repo, expected_commit=options.expected_commit) as checkout:
            outcome.checked_out(checkout)
            turn = RecordSession(
                store,
                task_run.state_key,
                run_id=task_run.run_id,
                run_type=task_run.run_type,
                commit=checkout.commit,
                on_rerun=options.on_rerun,
                cleared=lambda run_ids: self._cleared_runs(task_run, run_ids),
                reran=self._first_try(options) > 1,
                try_number=task_run.try_number,
                first_try=options.first_try,
                deleted=lambda run_ids: self._deleted_runs(task_run, run_ids),
            )
            begun = turn.begin()
            base_dir = repository.base_dir(checkout, workflow.repo.base_dir)
            with self.prepare(base_dir, checkout, workflow=workflow, options=options) as environment:
                yield _Attempt(checkout, base_dir, environment, turn, begun)

    def _job(
        self, workflow: Workflow, task_run: TaskRun, options: RunOptions, attempt: _Attempt, work_dir: Path
    ) -> Job:
        from airflow_provider_nilus.child.job import job_of
        from airflow_provider_nilus.task.settings import deployment_settings
        from nilus.protocol.job import Place

        return job_of(
            workflow,
            options,
            attempt.begun,
            run=task_run.with_commit(attempt.checkout.url, attempt.checkout.commit),
            sink=self._sinks().of(workflow),
            place=Place(
                checkout=str(attempt.checkout.path),
                base_dir=str(attempt.base_dir),
                work_dir=str(work_dir),
                extra_path=attempt.environment.paths,
                env_names=sorted(self.source_env),
                log_level=deployment_settings().log_level,
            ),
            keeps_packages=self._packages is not None,
            first_try=self._first_try(options),
        )

    def _run_child(
        self, workflow: Workflow, task_run: TaskRun, options: RunOptions, attempt: _Attempt
    ) -> Loaded | None:
        """Run the child; None if it has to be run again, from another record."""
        with work_folder() as work_dir:
            job = self._job(workflow, task_run, options, attempt, work_dir)
            return self._run_job(job, attempt.turn, attempt.environment)

    def _run_job(self, job: Job, turn: RecordSession, environment: Environment) -> Loaded | None:
        from airflow_provider_nilus.child.event_handler import Conversation
        from airflow_provider_nilus.child.process import ChildProcess
        from airflow_provider_nilus.child.supervisor import Supervisor
        from airflow_provider_nilus.task.child_environment import child_environ
        from nilus.errors import ProcessError, StateConflict

        conversation = Conversation(job, turn, self.outcome, self._packages, self.log.info)
        self._child = ChildProcess(
            job,
            environ=environment.variables(child_environ(os.environ, self.source_env)),
            python=environment.python,
            program=environment.program,
            extra_args=self.child_args,
            logger=logging.getLogger(__name__),
            on_event=conversation.hear,
            answer=conversation.answer,
            mask=redact_text,
            lost=Supervisor().is_gone,
        )
        if self._terminated:
            raise ProcessError(
                "The task was ended before the source started",
                expected="a task that may run",
                found="a request to end it",
                remedy="run the task again",
            )
        self.outcome.sink = job.sink.display_address
        try:
            return conversation.result(self._child.run())
        except StateConflict:
            if not turn.begins_again:
                raise
            return None
        finally:
            self.outcome.peak_memory_bytes = self._child.peak_memory_bytes

    @staticmethod
    def _cleared_runs(task_run: TaskRun, run_ids: list[str]) -> list[str]:
        from airflow_provider_nilus.task import states as task_states

        states = task_states.states(task_run.dag_id, task_run.task_id, task_run.map_index, run_ids)
        return [run_id for run_id, state in states.items() if task_states.is_to_run_again(state)]

    def _deleted_runs(self, task_run: TaskRun, run_ids: list[str]) -> list[str]:
        from airflow_provider_nilus.state.change import BY_HAND
        from airflow_provider_nilus.task import states as task_states

        states = task_states.states(task_run.dag_id, task_run.task_id, task_run.map_index, run_ids)
        deleted = [run_id for run_id in run_ids if run_id not in states and run_id != BY_HAND]
        if deleted:
            self.log.warning("State: runs that were deleted are made again by this one: %s", ", ".join(deleted))
        return deleted
