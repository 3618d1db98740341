"""What the sink counts on of pyiceberg that is not its public API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nilus.runtime.sinks.lakehouse.filter import everything

if TYPE_CHECKING:
    from pyiceberg.table.update.snapshot import _OverwriteFiles


def look_at_all_manifests(snapshot: _OverwriteFiles) -> None:
    """Have a snapshot look at all manifests for the files that go; what others add meanwhile is a conflict.

    Read in pyiceberg 0.12. 0.11 has no such method on this class and needs none: it looks at every manifest, and never
    commits on top of another snapshot than the one it started from.
    """
    if hasattr(snapshot, "delete_by_predicate"):
        snapshot.delete_by_predicate(everything())
