"""A task group with a task for each resource of a custom source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator
from airflow_provider_nilus.reporting import assets
from airflow_provider_nilus.task.run import default_state_key
from nilus.errors import WorkflowError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_nilus.hooks.custom_source import TaskRun
    from airflow_provider_nilus.hooks.discovery import DiscoveryHook
    from nilus.workflow.models import Workflow

_DISCOVER, _LOAD = "discover", "load"
# What is about loading, and what only the tasks that load are given.
_OF_LOADS = frozenset(
    (
        "state",
        "interval",
        "on_rerun",
        "at_least_once",
        "backfill",
        "batching",
        "outlets",
        "map_index_template",
        "max_active_tis_per_dag",
        "max_active_tis_per_dagrun",
        "doc_md",
    )
)
_NOT_IN_A_TASK_ID = re.compile(r"[^\w.-]")


class NilusDiscoverResourcesOperator(NilusCustomSourceOperator):
    """Find the resources of a custom source: what `nilus_resources` maps its tasks over.

    The repository is materialised and the source called, in a child process as for a load; nothing is read from it.

    Args:
        state_key: what the state keys of the resources begin with; default `dag_id.group_id`.
        **kwargs: those of `NilusCustomSourceOperator`; what is about loading has no part in this.

    Raises:
        AirflowFailException: at run time, for failures that another try cannot help.
        NilusError: at run time, for the others.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_active_tis_per_dag", None)
        super().__init__(**kwargs)
        self.outlets = []  # it writes no table

    def _run(self, workflow: Workflow, context: Context) -> list[dict[str, Any]]:
        """Return the arguments of each resource's task, in the source's order."""
        hook = self.hook
        task_run = self._task_run(context)
        try:
            names = hook.discover(workflow, task_run, self._options(context))
        finally:
            self.ran = {"repository": hook.outcome.repository, "commit": hook.outcome.commit}
        if not names:
            self.log.warning("The source has no resources to run: nothing is loaded")
        group = task_run.task_id.rpartition(".")[0] or task_run.task_id
        prefix = self.state_key or default_state_key(task_run.dag_id, group)
        return [{"resources": [name], "state_key": f"{prefix}.{task_name}"} for task_name, name in _name_tasks(names)]

    @property
    def hook(self) -> DiscoveryHook:
        """The hook of this task, made at first use."""
        from airflow_provider_nilus.hooks.discovery import DiscoveryHook

        if not isinstance(self._hook, DiscoveryHook):
            self._hook = DiscoveryHook(git_conn_id=self.git_conn_id, source_env=self._value("source_env"))
        return self._hook


class NilusResourceOperator(NilusCustomSourceOperator):
    """Load what `NilusDiscoverResourcesOperator` found: the tasks that `nilus_resources` maps.

    The state key says what is loaded. A run that is cleared may find another list, and with it the resource at another
    map index: what an earlier try loaded under the key is its own all the same.

    Args:
        **kwargs: those of `NilusCustomSourceOperator`.
    """

    def _task_run(self, context: Context) -> TaskRun:
        return replace(super()._task_run(context), keyed_by_name=True)


def nilus_resources(
    group_id: str,
    *,
    resources: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
    discovery: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> TaskGroup:
    """Load each resource of a custom source by a task of its own: with its own state, assets, tries and log.

    To be called where a DAG is the context (`with DAG(...):`). With `resources` given there is a task for each as soon
    as the DAG is parsed, named after it (`group_id.users`). Without, a task `group_id.discover` calls the source in
    every run, and `group_id.load` is mapped over what it finds; Airflow shows the resource in place of the map index.

    State is kept under `dag_id.group_id.<resource>` either way, never under a map index: a list that grows, shrinks or
    changes its order, and a DAG that goes from the one form to the other, leave every resource its own state.

    Args:
        group_id: of the task group.
        resources: names of the source's resources; or, for each of them, the arguments that only its task is given
            (`{"orders": {"queue": "large", "retries": 5}, "users": {}}`). None to find them at run time.
        discovery: arguments that only the task `discover` is given.
        **kwargs: arguments of `NilusCustomSourceOperator` and of `BaseOperator`, for every task. `state_key` is what
            the state keys begin with. `trigger_rule` is that of the group's first tasks. `max_active_tis_per_dag`
            limits the tasks of one name: if the resources are given it defaults to 1, so that no two runs load one
            resource at once; if they are found all of them have one name, and there is no limit unless you give one.

    Returns:
        The task group.

    Raises:
        WorkflowError: the names cannot become tasks, or the arguments do not go together.
    """
    for name in ("task_id", "task_group"):
        if name in kwargs:
            raise _refusal(f"an argument {name!r}", f"no {name}: the tasks are named after their resources")
    with TaskGroup(group_id) as group:
        if resources is None:
            _add_tasks(group, dict(kwargs), dict(discovery or {}))
        else:
            if discovery is not None:
                raise _refusal("`resources` and `discovery`", "one of the two: what is given is not looked for")
            _check_arguments(resources, kwargs)
    return group


def _check_arguments(resources: Sequence[str] | Mapping[str, Mapping[str, Any]], kwargs: Mapping[str, Any]) -> None:
    if isinstance(resources, str) or not resources or not all(isinstance(name, str) for name in resources):
        raise _refusal(f"resources={resources!r}", "a list with the name of one resource or more")
    prefix = kwargs.get("state_key")
    for task_name, name in _name_tasks(list(resources)):
        own = resources[name] if isinstance(resources, Mapping) else {}
        keyed = {"state_key": f"{prefix}.{task_name}"} if prefix else {}
        NilusCustomSourceOperator(task_id=task_name, resources=[name], **{**kwargs, **keyed, **own})


def _add_tasks(group: TaskGroup, kwargs: dict[str, Any], discovery: dict[str, Any]) -> None:
    if kwargs.get("state") == "xcom":
        raise _refusal(
            'state="xcom" for resources that are found at run time',
            'state="variable", or the list of `resources`: XComs are kept by map index, which changes with the list',
        )
    discover = NilusDiscoverResourcesOperator(
        task_id=_DISCOVER, **{**{name: value for name, value in kwargs.items() if name not in _OF_LOADS}, **discovery}
    )
    for_loads = {name: value for name, value in kwargs.items() if name not in ("state_key", "trigger_rule")}
    # Declared here, as Airflow does not look into a mapped task for what it declares.
    outlets = assets.with_alias(list(for_loads.pop("outlets", ())), f"nilus.{discover.dag_id}.{group.group_id}.{_LOAD}")
    NilusResourceOperator.partial(
        task_id=_LOAD,
        outlets=outlets,
        **{"map_index_template": "{{ task.selected_resources | join(', ') }}", **for_loads},
    ).expand_kwargs(discover.output)


def _name_tasks(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return a name that a task and a state key can have, and the resource's, for each resource.

    Raises:
        WorkflowError: two resources would have the same.
    """
    named: dict[str, str] = {}
    for name in names:
        task_name = _NOT_IN_A_TASK_ID.sub("_", name)
        if task_name in named:
            raise _refusal(
                f"{named[task_name]!r} and {name!r}", "names that differ in more than the characters a task id lacks"
            )
        named[task_name] = name
    return list(named.items())


def _refusal(found: str, expected: str) -> WorkflowError:
    return WorkflowError(
        "The arguments of nilus_resources cannot be used",
        expected=expected,
        found=found,
        remedy="correct the arguments",
    )
