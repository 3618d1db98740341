"""The state of a pipeline as dlt stores it, and whether a package carries it."""

from __future__ import annotations

from dlt.common.versioned_state import decompress_state
from dlt.pipeline.state_sync import force_state_extract

__all__ = ["decompress_state", "force_state_extract"]
