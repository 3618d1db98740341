"""Where the `repo`/`source`/`sink` block is: a bare document, a `type: workflow` or a `type: nilus` manifest."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nilus.errors import WorkflowError
from nilus.values.redaction import kind, redact_value
from nilus.values.spelling import kebab_from_camel, nearest

SECTIONS = ("repo", "source", "sink")

_log = logging.getLogger("nilus.workflow")
_NILUS_SPEC_KEYS = frozenset(
    {
        "cluster",
        "compute",
        "configs",
        "dataos-secrets",
        "description",
        "env",
        "envs",
        "log-level",
        "mode",
        "persistent-volume",
        "resources",
        "run-as-api-key",
        "run-as-user",
        "schedule",
        "secrets",
        "tags",
        "temp-volume",
        "type",
        "use",
    }
)
_SHAPES = (
    "repo, source and sink at the top; or `type: workflow` with them under workflow.dag[].spec.stackSpec; "
    "or `type: nilus` with them under spec"
)


@dataclass(frozen=True)
class FoundBlock:
    """The block, and the path to it as the author spelled it (empty for a bare document)."""

    block: Mapping[str, Any]
    path: str = ""


@dataclass(frozen=True)
class _Step:
    name: str
    stack_spec: Mapping[str, Any]
    path: str
    ignored: list[str] = field(default_factory=list)


def find_block(document: Mapping[str, Any], *, step: str | None = None) -> FoundBlock:
    """Find the block in `document`; what else a manifest says is ignored, and one log line says so.

    Args:
        document: a bare block or a manifest.
        step: name of the step, where a `type: workflow` manifest has several of the nilus stack.

    Raises:
        WorkflowError: no block, several and no `step`, no step of that name, or a manifest of another type.
    """
    key = _spelling_of(document, "type")
    if key is None:
        return _bare(document, step)
    manifest_type = str(document[key]).strip().lower()
    if manifest_type == "workflow":
        return _from_workflow(document, step)
    if _is_nilus(manifest_type):
        return _from_nilus(document, step)
    raise WorkflowError(
        f"A manifest of type {redact_value(document[key])} holds no workflow that can be run here.",
        expected=_SHAPES,
        remedy="Take the repo, source and sink out of the manifest and give them as a bare document.",
    )


def _is_nilus(name: str) -> bool:
    """Tell whether a manifest or a step is of this stack: `nilus`, or `nilus-v11` with the version of DataOS's."""
    return re.fullmatch(r"nilus(?:-v?\d+(?:\.\d+)*)?", name, re.ASCII) is not None


def _bare(document: Mapping[str, Any], step: str | None) -> FoundBlock:
    if document and not any(_spelling_of(document, section) for section in SECTIONS):
        first = ", ".join(redact_value(str(key)) for key in list(document)[:5])
        raise WorkflowError(
            "The workflow document has neither repo nor source nor sink.",
            expected=_SHAPES,
            found=f"the keys {first}",
            remedy="A manifest needs its `type`; a bare document needs the three blocks.",
        )
    _refuse_step(step)
    return FoundBlock(document)


def _from_nilus(document: Mapping[str, Any], step: str | None) -> FoundBlock:
    _refuse_step(step)
    spec_key, spec = _mapping_under(document, "spec", "")
    _refuse_other_modes(spec, spec_key)
    ignored = _others(document, "", "type", "spec")
    stack_key = _spelling_of(spec, "stack-spec")
    if stack_key is not None and not any(_spelling_of(spec, section) for section in SECTIONS):
        stack_key, stack_spec = _mapping_under(spec, "stack-spec", spec_key)
        _log_ignored([*ignored, *_others(spec, spec_key, "stack-spec", "stack", "type")])
        return FoundBlock(stack_spec, f"{spec_key}.{stack_key}")
    for key in spec:
        _refuse_near_miss(str(key), spec_key)
    _log_ignored([*ignored, *_others(spec, spec_key, *SECTIONS, "type")])
    return FoundBlock({key: value for key, value in spec.items() if _fold(key) in SECTIONS}, spec_key)


def _refuse_other_modes(spec: Mapping[str, Any], path: str) -> None:
    key = _spelling_of(spec, "type")
    if key is not None and str(spec[key]).strip().lower() != "batch":
        raise WorkflowError(
            f"{path}.{key}: only batch pipelines run custom sources.", expected="batch", found=redact_value(spec[key])
        )


def _refuse_near_miss(key: str, path: str) -> None:
    """Refuse `sorce` under a manifest's `spec`, where everything that is not ours would otherwise be ignored."""
    folded = kebab_from_camel(key)
    meant = nearest(folded, SECTIONS, cutoff=0.8)
    if meant and folded not in SECTIONS and folded not in _NILUS_SPEC_KEYS:
        raise WorkflowError(f"{path}.{key}: unknown key, did you mean {meant}?")


def _from_workflow(document: Mapping[str, Any], step: str | None) -> FoundBlock:
    outer_key = next((key for key in ("workflow", "spec") if _spelling_of(document, key)), "workflow")
    outer_key, outer = _mapping_under(document, outer_key, "")
    dag_key = _spelling_of(outer, "dag") or "dag"
    dag = outer.get(dag_key)
    if not isinstance(dag, list | tuple):
        raise WorkflowError(f"{outer_key}.{dag_key}: expected a list of steps, found {kind(dag)}.")
    path = f"{outer_key}.{dag_key}"
    steps = [found for number, node in enumerate(dag) if (found := _nilus_step(node, f"{path}[{number}]"))]
    chosen = _choose(steps, step, path)
    others = [] if len(dag) == 1 else [f"{path} (the other steps)"]
    ignored = [*_others(document, "", "type", outer_key), *_others(outer, outer_key, "dag"), *others, *chosen.ignored]
    _log_ignored(ignored)
    return FoundBlock(chosen.stack_spec, chosen.path)


def _nilus_step(node: object, path: str) -> _Step | None:
    """Return the step at `path` if it has a `stackSpec` and its `stack`, where given, is nilus."""
    if not isinstance(node, Mapping):
        return None
    spec_key = _spelling_of(node, "spec")
    spec = node.get(spec_key)
    if not isinstance(spec, Mapping):
        return None
    stack_key, spec_of_stack_key = _spelling_of(spec, "stack"), _spelling_of(spec, "stack-spec")
    stack = "nilus" if stack_key is None else str(spec[stack_key])
    stack_spec = spec.get(spec_of_stack_key)
    if not _is_nilus(stack.partition(":")[0].strip().lower()) or not isinstance(stack_spec, Mapping):
        return None
    name_key = _spelling_of(node, "name")
    name = path if name_key is None else str(node[name_key])
    spec_path = f"{path}.{spec_key}"
    ignored = [*_others(node, path, "name", "spec"), *_others(spec, spec_path, "stack", "stack-spec")]
    return _Step(name, stack_spec, f"{spec_path}.{spec_of_stack_key}", ignored)


def _choose(steps: list[_Step], step: str | None, path: str) -> _Step:
    names = ", ".join(redact_value(found.name) for found in steps)
    if not steps:
        raise WorkflowError(
            f"{path}: no step of the nilus stack.",
            expected="a step whose spec has a stackSpec, and whose stack, where given, is nilus",
        )
    chosen = steps if step is None else [found for found in steps if found.name == step]
    if len(chosen) == 1:
        return chosen[0]
    if step is None:
        message = f"{path}: the manifest has {len(steps)} steps of the nilus stack."
    else:
        message = f"{path}: {len(chosen) or 'no'} steps of the nilus stack are named {redact_value(step)}."
    raise WorkflowError(
        message,
        expected="the name of one step",
        found=names,
        remedy="Choose one step by its name, one task for each.",
    )


def _refuse_step(step: str | None) -> None:
    if step is not None:
        raise WorkflowError(
            f"The step {redact_value(step)} was asked for, but the workflow document has no steps.",
            expected="a `type: workflow` manifest",
            remedy="Leave the step out.",
        )


def _mapping_under(node: Mapping[str, Any], key: str, path: str) -> tuple[str, Mapping[str, Any]]:
    """Return the key under `node` as the author spelled it, and the mapping it holds."""
    spelled = _spelling_of(node, key)
    full = f"{path}.{spelled or key}" if path else spelled or key
    value = node.get(spelled) if spelled else None
    if not isinstance(value, Mapping):
        raise WorkflowError(f"{full}: expected a mapping, found {kind(value)}.", expected=_SHAPES)
    return spelled or key, value


def _spelling_of(node: Mapping[Any, Any], key: str) -> str | None:
    """Return the spelling that `node` has of `key`, or None.

    Raises:
        WorkflowError: it has two.
    """
    spellings = [str(written) for written in node if _fold(written) == key]
    if len(spellings) > 1:
        raise WorkflowError(f"The manifest has the same key twice: {' and '.join(spellings)}.")
    return spellings[0] if spellings else None


def _fold(key: object) -> str:
    return kebab_from_camel(key) if isinstance(key, str) else ""


def _others(node: Mapping[Any, Any], path: str, *ours: str) -> list[str]:
    prefix = f"{path}." if path else ""
    return [f"{prefix}{key}" for key in node if _fold(key) not in ours]


def _log_ignored(keys: list[str]) -> None:
    if keys:
        _log.info(
            "Ignored in the manifest: %s. The DAG schedules, Airflow's workers compute; "
            "what a source needs in its environment is given by source_env.",
            ", ".join(keys),
        )
