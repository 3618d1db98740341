"""Load ids that go up, whatever the clocks of workers say.

dlt takes the time for the id of a load, asks `create_load_id` of `dlt.extract.storage` for it (1.31), and takes the
larger of two ids for the newer load; so does everything here. A worker whose clock is behind another's would make ids
that are older than what has been loaded before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dlt.common.storages import load_package
from dlt.extract import storage

log = logging.getLogger("nilus")

_STEP = 0.001
_TOLD_SECONDS = 60.0


def load_id_after(newest: float) -> str:
    """Return a new load id, larger than another: the time, as a rule.

    Args:
        newest: the largest id so far; 0 if there is none.
    """
    made = load_package.create_load_id()
    return made if float(made) > newest else f"{newest + _STEP:.6f}"


@contextmanager
def load_ids_after(newest: float) -> Iterator[None]:
    """Let dlt make load ids that are larger than another, for the time of the block; say so if clocks differ much.

    Args:
        newest: the largest id so far; 0 if there is none.
    """
    ahead = newest - time.time()
    if ahead > _TOLD_SECONDS:
        log.warning(
            "The clock of this worker is %d s behind that of a worker that loaded before: correct one of them. Loads "
            "are ordered all the same",
            ahead,
        )
    last = newest

    def following() -> str:
        nonlocal last
        made = load_id_after(last)
        last = float(made)
        return made

    original = vars(storage)["create_load_id"]
    vars(storage)["create_load_id"] = following
    try:
        yield
    finally:
        vars(storage)["create_load_id"] = original
