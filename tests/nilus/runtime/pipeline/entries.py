"""Entries of child processes: the pipeline, with something of it changed for a test.

A child finds them by `PYTHONPATH`; files are how it meets the test and other children.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from dlt import Pipeline

from nilus.protocol.channel import Channel
from nilus.protocol.events import Loaded
from nilus.protocol.job import Job
from nilus.runtime import pipeline
from nilus.runtime.engine.progress import ProgressCollector
from nilus.runtime.sinks.databases import waiting

_SECONDS = 120


def eager(job: Job, channel: Channel) -> Loaded:
    """Report progress at every opportunity."""
    ProgressCollector.__init__.__kwdefaults__["interval"] = 0.0
    return pipeline.run(job, channel)


def together(job: Job, channel: Channel) -> Loaded:
    """Do not begin to load before as many runs as `PARTIES` says are about to."""
    here = Path(os.environ["MEETING"])
    (here / job.run.state_key).touch()
    _before_loading(lambda: len(list(here.iterdir())) >= int(os.environ["PARTIES"]))
    return pipeline.run(job, channel)


def held(job: Job, channel: Channel) -> Loaded:
    """Stop right before the load, with everything held that a load holds, until the file `GO` is there."""
    reached, go = Path(os.environ["REACHED"]), Path(os.environ["GO"])

    def may_go() -> bool:
        reached.touch()
        return go.exists()

    _before_loading(may_go)
    return pipeline.run(job, channel)


def impatient(job: Job, channel: Channel) -> Loaded:
    """Say at once for whom it waits."""
    waiting._SAY_AFTER_SECONDS = 0.0
    waiting._POLL_SECONDS = 0.01
    return pipeline.run(job, channel)


def _before_loading(ready: Callable[[], bool]) -> None:
    load = Pipeline.load

    def later(self: Pipeline) -> object:
        until = time.monotonic() + _SECONDS
        while not ready():
            if time.monotonic() > until:
                raise TimeoutError("nobody came")
            time.sleep(0.002)
        return load(self)

    Pipeline.load = later
