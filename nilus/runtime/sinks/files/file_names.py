"""What the name of a table's file says."""

from __future__ import annotations

import posixpath


def load_of(path: str) -> str:
    """Return the id of the load that a file of a table came with: `<load id>.<file id>.<extension>`."""
    return ".".join(posixpath.basename(path).split(".")[:2])
