"""The operator: what a DAG's author writes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_nilus.reporting import assets
from airflow_provider_nilus.reporting.links import CommitLink
from airflow_provider_nilus.task import rendered_fields

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from airflow_provider_nilus.hooks.custom_source import NilusHook, RunOptions, TaskRun
    from airflow_provider_nilus.state.store import StateStore
    from nilus.errors import WorkflowError
    from nilus.workflow.models import Workflow

Interval = str | tuple[str, str] | list[str] | None


def _unreadable(error: Exception) -> WorkflowError:
    from nilus.errors import WorkflowError

    return WorkflowError(
        "A template of the task cannot be rendered",
        expected="Jinja that gives a value, out of what the run and Airflow know",
        found=f"{type(error).__name__}: {error}",
        remedy="correct the template in the DAG or in the workflow document",
    )


class NilusCustomSourceOperator(BaseOperator):
    """Run a Nilus custom source out of a Git repository into a sink.

    Args:
        workflow: the Nilus document: a `.yaml` file beside the DAG, its text, or a dict.
        step: the step's name, where the document has several.
        repo: a block of the same shape and spellings; given beside `workflow` it overrides that key by key.
        source: likewise.
        sink: likewise.
        git_conn_id: Airflow connection of type `git`. None: a public repository, or `GITSYNC_USERNAME` and
            `GITSYNC_PASSWORD` in `source_env` or the worker's environment.
        source_env: environment variables for the source; they also fill `{NAME}` in addresses. Values are never shown.
        expected_commit: full SHA; any other commit is refused before its code runs.
        resources: names of the resources to run; None for all. May be mapped.
        state: where incremental state is kept: `"variable"`, `"xcom"`, or a `StateStore`.
        state_key: name of the state; default `dag_id.task_id`, with the map index when the task is mapped.
        interval: `"data_interval"`, None, or `(start, end)`, each an ISO 8601 date or a template that gives one.
        on_rerun: `"replace"`, `"append"` or `"rewind"`.
        at_least_once: rows may be appended to a sink where what an interrupted load left cannot be removed, so that
            they may be there twice. Without it such a run is refused.
        backfill: `None`, `"window"`, `"run"` or `"refuse"`: what a backfill run may do.
        batching: `"auto"`: rows are loaded by column; `"off"`: one by one, as dlt itself does. The tables are the same.
            None for what the deployment says.
        environment: `"shared"`, the worker's Python with the packages that are missing; or `"isolated"`, one of the
            source's own without Airflow. None for what the deployment says.
        python: the Python of an isolated environment: a version such as `"3.12"`, or a path. None for the worker's.
        **kwargs: those of `BaseOperator`; `max_active_tis_per_dag` defaults to 1, so that no two runs move one cursor.

    Raises:
        AirflowFailException: at run time, for failures that another try cannot help.
        NilusError: at run time, for the others.
    """

    template_fields: Sequence[str] = (
        "workflow",
        "step",
        "repo",
        "source",
        "sink",
        "git_conn_id",
        "source_env",
        "expected_commit",
        "selected_resources",
        "state_key",
        "interval",
        "source_doc",
    )
    template_ext: Sequence[str] = (".yaml", ".yml")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "workflow": "yaml",
        "repo": "yaml",
        "source": "yaml",
        "sink": "yaml",
        "source_doc": "md",
    }
    ui_color = "#d7ecef"
    ui_fgcolor = "#0d3a40"
    operator_extra_links = (CommitLink(),)

    def __init__(
        self,
        *,
        workflow: str | Mapping[str, Any] | None = None,
        step: str | None = None,
        repo: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        sink: Mapping[str, Any] | None = None,
        git_conn_id: str | None = None,
        source_env: Mapping[str, str] | None = None,
        expected_commit: str | None = None,
        resources: Sequence[str] | None = None,
        state: str | StateStore = "variable",
        state_key: str | None = None,
        interval: Interval = "data_interval",
        on_rerun: str = "replace",
        at_least_once: bool = False,
        backfill: str | None = None,
        batching: str | None = None,
        environment: str | None = None,
        python: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("max_active_tis_per_dag", 1)
        super().__init__(**kwargs)
        self.workflow = workflow
        self.step = step
        self.repo = repo
        self.source = source
        self.sink = sink
        self.git_conn_id = git_conn_id
        self.source_env = source_env
        self.expected_commit = expected_commit
        # `resources` of BaseOperator is something else: the hardware a task asks for.
        self.selected_resources = resources
        self.state = state
        self.state_key = state_key
        self.interval = interval
        self.on_rerun = on_rerun
        self.at_least_once = at_least_once
        self.backfill = backfill
        self.batching = batching
        self.environment = environment
        self.python = python
        where = f"{self.dag_id}." if self.has_dag() else ""  # type: ignore[no-untyped-call]
        self.outlets = assets.with_alias(self.outlets, f"nilus.{where}{self.task_id}")
        self.source_doc: str | None = None
        self.ran: dict[str, str] = {}
        self._hook: NilusHook | None = None
        self._rendered: dict[str, Any] = {}

    def execute(self, context: Context) -> Any:
        """Run the source once.

        Returns:
            What was loaded: small JSON, pushed as XCom.
        """
        from airflow.providers.common.compat.sdk import AirflowFailException

        from nilus.errors import NilusError

        try:
            workflow = self._workflow()
            return self._run(workflow, context)
        except NilusError as error:
            if error.retryable:
                raise
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error

    def _run(self, workflow: Workflow, context: Context) -> Any:
        from airflow_provider_nilus.reporting import metrics

        hook = self.hook
        try:
            result = hook.run(workflow, self._task_run(context), self._options(context))
        finally:
            self.ran = {"repository": hook.outcome.repository, "commit": hook.outcome.commit}
            metrics.send(hook.outcome, dag_id=self.dag_id, task_id=self.task_id)
            self._document(hook.outcome.documentation)
        self.outlets = assets.emit(self.outlets, hook.outcome, context)
        # Sends the rendered fields once more, `source_doc` among them. Not after a failure: a retry has replaced the
        # task instance by then.
        self.overwrite_rtif_after_execution = self.source_doc is not None
        return result

    def _document(self, documentation: str) -> None:
        """Let the source speak for itself where the DAG's author did not: in the rendered fields, and to OpenLineage.

        The DAG that Airflow shows is made from its file, and no repository is read for that, so the page of the DAG
        itself cannot have it.
        """
        if documentation and not (self.doc_md or self.doc or self.doc_rst or self.doc_yaml or self.doc_json):
            self.source_doc = self.doc_md = documentation

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage what is about to be read."""
        from airflow_provider_nilus.reporting import lineage
        from airflow_provider_nilus.reporting.run_report import Outcome

        outcome = Outcome()
        outcome.read(self._workflow())
        return lineage.facets(outcome)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Tell OpenLineage what was read and loaded; of a task that failed, how far it came."""
        from airflow_provider_nilus.reporting import lineage

        return lineage.facets(self.hook.outcome)

    def on_kill(self) -> None:
        """End the child process and everything it started."""
        if self._hook is not None:
            self._hook.terminate()

    @property
    def hook(self) -> NilusHook:
        """The hook of this task, made at first use."""
        from airflow_provider_nilus.hooks.custom_source import NilusHook

        if self._hook is None:
            self._hook = NilusHook(git_conn_id=self.git_conn_id, source_env=self._value("source_env"), state=self.state)
        return self._hook

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Any,
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as usual; then keep what was rendered to oneself and leave a redacted copy in the fields.

        Airflow stores the fields as they are after rendering and shows them in its UI. Stands in for Airflow's method.
        """
        from airflow.providers.common.compat.sdk import AirflowFailException
        from jinja2 import TemplateError

        from airflow_provider_nilus.task import document_template
        from nilus.errors import WorkflowError

        others = [name for name in template_fields if name not in document_template.FIELDS]
        try:
            super()._do_render_template_fields(parent, others, context, jinja_env, seen_oids)
            template = document_template.DocumentTemplate(
                jinja_env, context, lambda value: self.render_template(value, context, jinja_env, seen_oids)
            )
            for name in document_template.FIELDS:
                if value := getattr(self, name):
                    setattr(self, name, template.document(value, seen_oids))
        except TemplateError as error:
            raise AirflowFailException(f"WorkflowError: {_unreadable(error)}") from error
        except WorkflowError as error:
            raise AirflowFailException(f"WorkflowError: {error}") from None
        for name in rendered_fields.FIELDS:
            value = getattr(self, name)
            self._rendered[name] = copy.deepcopy(value)
            if value is not None:
                setattr(self, name, rendered_fields.redact_field(name, value))

    def _value(self, name: str) -> Any:
        return self._rendered.get(name, getattr(self, name))

    def _workflow(self) -> Workflow:
        from nilus.workflow.models import Workflow

        overrides = {name: self._value(name) for name in ("repo", "source", "sink") if self._value(name) is not None}
        return Workflow.parse(self._value("workflow") or {}, overrides=overrides, step=self.step)

    def _task_run(self, context: Context) -> TaskRun:
        from airflow_provider_nilus.hooks.custom_source import TaskRun

        return TaskRun.of(context, state_key=self.state_key)

    def _options(self, context: Context) -> RunOptions:
        from airflow_provider_nilus.hooks.custom_source import RunOptions
        from airflow_provider_nilus.task.run import data_interval, first_try
        from nilus.errors import WorkflowError

        interval: tuple[str, str] | None = None
        if self.interval == "data_interval":
            start, end = data_interval(context)
            interval = (start, end) if start and end else None
        elif isinstance(self.interval, list | tuple) and len(self.interval) == 2:
            interval = (self.interval[0], self.interval[1])
        elif self.interval is not None:
            raise WorkflowError(
                "The operator's `interval` is not known",
                expected='"data_interval", None, or (start, end)',
                found=repr(self.interval),
                remedy="correct the argument",
            )
        for name, known in (
            ("on_rerun", ("replace", "append", "rewind")),
            ("backfill", (None, "window", "run", "refuse")),
            ("batching", (None, "auto", "off")),
            ("environment", (None, "shared", "isolated")),
        ):
            if getattr(self, name) not in known:
                raise WorkflowError(
                    f"The operator's `{name}` is not known",
                    expected=", ".join(map(repr, known)),
                    found=repr(getattr(self, name)),
                    remedy="correct the argument",
                )
        return RunOptions(
            expected_commit=self.expected_commit or None,
            resources=list(self.selected_resources) if self.selected_resources is not None else None,
            interval=interval,
            backfill=self.backfill,
            on_rerun=self.on_rerun,
            first_try=first_try(context, retries=self.retries or 0),
            at_least_once=self.at_least_once,
            batching=self.batching,
            environment=self.environment,
            python=self.python,
        )
