"""What rows and sources count on of dlt that is not its public API, behind functions that say what they do."""

from __future__ import annotations

from typing import Final

READ_IN: Final = "1.31.0"
"""The version of dlt that these modules were read in, but for what says another."""
