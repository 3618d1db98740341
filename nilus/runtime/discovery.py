"""Which resources a source has: the child's other entry, which calls the source and reads nothing from it."""

from __future__ import annotations

import os
from pathlib import Path

from nilus.protocol.channel import Channel
from nilus.protocol.events import Loaded
from nilus.protocol.job import Job
from nilus.runtime.engine.context import config_values, isolation
from nilus.runtime.source import call, class_finder
from nilus.runtime.source.import_roots import import_roots

ENTRY = f"{__name__}:run"
"""What `python -m nilus.runtime --entry` takes to discover instead of to load."""


def run(job: Job, channel: Channel) -> Loaded:  # noqa: ARG001 - the shape of an entry
    """Call the job's source and tell its resources.

    Args:
        job: the run; its sink has no part in this.
        channel: where events would go.

    Returns:
        A result without loads, whose `tables` has one entry for each resource that a run would load.

    Raises:
        NilusError: the source cannot be found or called.
    """
    checkout, base_dir = Path(job.place.checkout), Path(job.place.base_dir)
    import_roots(base_dir, checkout, job.place.extra_path)
    with isolation(job.place.work_dir, config_values(job, os.environ)):
        found = class_finder.find(job.source.address, base_dir=base_dir, checkout=checkout)
        source = call.call(found, job, interval=None, environ=os.environ)
        names = list(source.selected_resources)
    return Loaded(
        load_ids=[],
        tables={name: {"rows": 0, "write_disposition": None, "columns": {}} for name in names},
        dataset=job.sink.dataset,
        destination="",
        reading="full",
        keeps_state=False,
        state={},
        seconds={},
    )
