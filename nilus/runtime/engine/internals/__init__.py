"""What is counted on of dlt that is not its public API, behind functions that say what they do.

Where a class of dlt has to be extended, the class comes from here and the overrides stand in the subclass, as
`tests/fixtures/private_names.py` lists them. Everything that is counted on is listed with its signature in
`tests/internals.txt`.
"""

from __future__ import annotations

from typing import Final

READ_IN: Final = "1.31.0"
"""The version of dlt that these modules were read in, but for what says another."""
