"""dlt's pipeline state as a run takes and gives it: the `sources` subtree, as plain JSON.

dlt marks dates, decimals and bytes inside the texts of its JSON, so plain JSON carries them through.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from typing import Any

from dlt.common.json import json as dlt_json
from dlt.common.pipeline import TPipelineState
from dlt.extract import DltSource

from nilus.runtime.engine.internals.state import force_state_extract

log = logging.getLogger("nilus")


def pipeline_name(state_key: str) -> str:
    """Return the name dlt keeps a key's state under: recognisable, a valid folder name, unique by a digest."""
    readable = re.sub(r"[^a-z0-9]+", "_", state_key.lower()).strip("_")[:40]
    return f"nilus_{readable}_{hashlib.sha256(state_key.encode()).hexdigest()[:10]}"


def read(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state as dlt works with it, dates as dates."""
    typed: dict[str, Any] = dlt_json.typed_loads(json.dumps(state))
    return typed


def put(state: dict[str, Any], managed: TPipelineState) -> None:
    """Let dlt start from a state, whatever it took from the destination.

    dlt leaves a state out of a package if it is the one that came from the destination. That one may belong to a load
    which is being replaced, or was never completed: so the package is made to carry its state where the two differ.

    Args:
        state: plain.
        managed: dlt's, in `managed_state`.
    """
    sources = read(state)
    if managed.get("sources", {}) != sources:
        force_state_extract(managed)
    managed["sources"] = sources


def to_plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state as plain JSON; `read` makes the same state of it."""
    document: dict[str, Any] = json.loads(dlt_json.typed_dumps(state))
    return document


def differs(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two plain states say different things; empty parts and the order of row digests say nothing."""
    return bool(_essence(one) != _essence(other))


def without_selected(state: dict[str, Any], source: DltSource) -> dict[str, Any]:
    """Return the state without what the selected resources of `source` keep in it.

    If all of its resources are selected, what the source keeps for all of them goes as well.
    """
    if source.resources.keys() == source.selected_resources.keys():
        return {name: kept for name, kept in state.items() if name != source.name}
    kept = state.get(source.name, {})
    resources = {
        name: value for name, value in kept.get("resources", {}).items() if name not in source.selected_resources
    }
    return {**state, source.name: {**kept, "resources": resources}}


def warn_of_unkept(state: dict[str, Any], start: dict[str, Any], source: DltSource) -> None:
    """Say in the log what a source wrote into a state that this run does not keep.

    Args:
        state: plain, after the run.
        start: plain, before it.
        source: the source.
    """
    kept, before = state.get(source.name, {}), start.get(source.name, {})
    resources = [
        name
        for name, value in kept.get("resources", {}).items()
        if differs({"": value}, {"": before.get("resources", {}).get(name, {})})
    ]
    names = [f"resource {name!r}" for name in resources]
    if any(differs({key: value}, {key: before.get(key, {})}) for key, value in kept.items() if key != "resources"):
        names.append(f"source {source.name!r}")
    if names:
        log.warning(
            "State: %s wrote state, but the source does not handle incrementality itself: the state is not kept, and "
            "the next run starts without it. Return True from handles_incrementality() to keep it",
            ", ".join(names),
        )


def _essence(value: Any) -> Any:
    if isinstance(value, dict):
        parts = {key: _digests(part) if key == "unique_hashes" else _essence(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part != {}}
    return value


def _digests(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value
