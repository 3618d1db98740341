"""The right to write in a lakehouse: looked at after a table was loaded, and before it is committed.

Whoever takes a load over notes so in the journal, and then puts a snapshot on every table of the load, even one without
changes. A commit that was looked at before that is on top of a snapshot that is not the last one any more: the
catalog refuses it, and its next try looks again.
"""

from __future__ import annotations

from nilus.runtime.recovery.fence import current
from nilus.runtime.recovery.journal import TABLE
from nilus.runtime.sinks.lakehouse.catalog import Lake
from nilus.runtime.sinks.lakehouse.ledger import Ledger


def check(lake: Lake, namespace: str) -> None:
    """Refuse to go on if the load that this process writes belongs to somebody else by now.

    Args:
        lake: the warehouse.
        namespace: the dataset's.

    Raises:
        LoadStopped: it does.
    """
    fence = current()
    if fence is None:
        return
    rows = Ledger(lake, namespace, TABLE, ()).rows(load_id=fence.load_id)
    if not any(row["fence"] == fence.token and row["taken_by"] is None for row in rows):
        raise fence.taken_over_by(next((row["taken_by"] for row in rows), None))
