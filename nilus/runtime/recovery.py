"""What the tries before this one left behind, settled before anything is extracted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nilus.runtime.channel import Channel
from nilus.runtime.job import Job
from nilus.runtime.journal import Journal
from nilus.runtime.reading import Reading


@dataclass(frozen=True)
class Settlement:
    """What settling found.

    Attributes:
        state: dlt's `sources` subtree to start from.
    """

    state: dict[str, Any]


def settle(job: Job, reading: Reading, journal: Journal, channel: Channel) -> Settlement:
    """Decide where this run starts from.

    The record's state is taken as the parent sent it; runs that read no cursor start from nothing.
    """
    del journal, channel
    return Settlement(state=job.state if reading.reads_state else {})
