"""What a source says of itself: the docstring that Airflow shows where the DAG has no documentation of its own."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from nilus.protocol.channel import Channel
from nilus.protocol.events import Described
from nilus.runtime.source.class_finder import FoundClass
from nilus.values.secret_texts import cut

LIMIT: int = 3_000
"""Characters; of a rendered field Airflow keeps 4,096 unless told otherwise."""


def tell(found: FoundClass, channel: Channel) -> None:
    """Send a source's documentation, if it has any."""
    text = docstring(found.cls)
    if text:
        channel.send(Described(class_name=found.class_name, file=found.file, documentation=text))


def docstring(cls: type) -> str:
    """Return the docstring of a class, else of its module, else of its own `nilus_source`; empty if there is none.

    A long one is cut at `LIMIT`.
    """
    own: Any = cls.__dict__.get("nilus_source")
    for holder in (cls, sys.modules.get(cls.__module__), own):
        # From Python 3.13 on None has a docstring.
        text = None if holder is None else holder.__doc__
        if isinstance(text, str) and text.strip():
            # Without control characters: it is shown in a terminal and in a browser.
            clean = "".join(c for c in inspect.cleandoc(text) if c.isprintable() or c in "\n\t")
            return cut(clean, LIMIT - 1)
    return ""
