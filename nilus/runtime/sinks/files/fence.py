"""The right to write where a store cannot refuse: asked for before and after each file of a load.

A writer that has lost its load removes what it has just written and stops. It may be paused between the two: whoever
settles the key next removes what came after a load was taken over, for a day.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from nilus.runtime.engine import pipeline_state
from nilus.runtime.recovery.fence import Fence, current
from nilus.runtime.recovery.journal import TABLE

if TYPE_CHECKING:
    from nilus.runtime.sinks.files.client import FilesClient

SUFFIX: Final = ".json"
_SETTLED_SECONDS = 120.0
_POLL_SECONDS = 0.5


def entry_path(client: FilesClient, folder: str, load_id: str) -> str:
    """Return where the entry of a load is in the journal.

    Args:
        client: of the store.
        folder: the name of the key's pipeline.
        load_id: of the load.
    """
    return str(client.pathlib.join(client.dataset_path, TABLE, folder, f"{load_id}{SUFFIX}"))


def check(client: FilesClient) -> None:
    """Refuse to go on if the load that this process writes belongs to somebody else by now.

    Raises:
        LoadStopped: it does.
    """
    fence = current()
    if fence is not None:
        entry = _entry(client, fence)
        if entry is None or entry["taken_by"] is not None:
            raise fence.taken_over_by(entry["taken_by"] if entry else None)


def check_complete(client: FilesClient) -> None:
    """Refuse to take a load for complete that somebody has swept, once its entry in `_dlt_loads` is there.

    Who takes a load over looks whether it is complete, and gives it back then; that is waited for.

    Raises:
        LoadStopped: it was swept.
    """
    fence = current()
    until = time.monotonic() + _SETTLED_SECONDS
    while fence is not None:
        entry = _entry(client, fence)
        if entry is not None and entry["taken_by"] is None:
            return
        if entry is None or entry["swept_at"] is not None or time.monotonic() > until:
            raise fence.taken_over_by(entry["taken_by"] if entry else None)
        time.sleep(_POLL_SECONDS)


def _entry(client: FilesClient, fence: Fence) -> dict[str, Any] | None:
    path = entry_path(client, pipeline_state.pipeline_name(fence.state_key), fence.load_id)
    try:
        found: dict[str, Any] = json.loads(client.fs_client.read_text(path))
    except FileNotFoundError:
        return None
    return found if found["fence"] == fence.token else None
