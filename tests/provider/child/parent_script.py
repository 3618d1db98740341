"""A task's process in small: `parent_script.py MODE ENTRY JOB_FILE TRACE [ARGUMENT…]` runs one child."""

from __future__ import annotations

import faulthandler
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from airflow_provider_nilus.child.process import ChildProcess
from airflow_provider_nilus.task.child_environment import child_environ
from nilus.errors import NilusError
from nilus.protocol.job import Job

HERE = Path(__file__).parent


class TimedOut(BaseException):
    """As AirflowTaskTimeout: nothing that catches Exception sees it."""


def raise_timed_out(*_: Any) -> None:
    raise TimedOut


def make(entry: str, job: Path, trace: str) -> ChildProcess:
    logger = logging.Logger("task")
    logger.addHandler(logging.NullHandler())
    return ChildProcess(
        Job.from_json(job.read_text()),
        environ=child_environ(os.environ, {trace: "1", "PYTHONPATH": str(HERE)}),
        logger=logger,
        on_event=lambda event: None,
        answer=lambda question: {},
        extra_args=["--entry", f"child_code:{entry}"],
    )


def run(child: ChildProcess) -> None:
    try:
        print(child.run())
    except (NilusError, TimedOut, KeyboardInterrupt) as error:
        print(f"raised {type(error).__name__}: {error}")


def on_kill(child: ChildProcess, *_: str) -> None:
    """A SIGTERM handler calls `terminate`, as `BaseOperator.on_kill` is called, and execution goes on."""
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    run(child)


def plain(child: ChildProcess, *_: str) -> None:
    run(child)


def time_out(child: ChildProcess, *_: str) -> None:
    """SIGALRM raises inside `run`, as `execution_timeout` does."""
    signal.signal(signal.SIGALRM, raise_timed_out)
    run(child)


def time_out_after(child: ChildProcess, seconds: str) -> None:
    signal.signal(signal.SIGALRM, raise_timed_out)
    try:
        signal.setitimer(signal.ITIMER_REAL, float(seconds))
        run(child)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except TimedOut:
        print("raised TimedOut outside")


def interrupted_fork(child: ChildProcess, *_: str) -> None:
    """The signal comes while the process forks: its handler raises before anybody knows the child's id."""
    fork_exec = subprocess._fork_exec  # type: ignore[attr-defined]

    def fork_and_raise(*arguments: Any) -> int:
        fork_exec(*arguments)
        raise TimedOut

    subprocess._fork_exec = fork_and_raise  # type: ignore[attr-defined]
    run(child)
    time.sleep(30)


def heavy(child: ChildProcess, *_: str) -> None:
    """A task's process with a lot of memory of its own."""
    ballast = bytearray(400 << 20)
    ballast[:: resource.getpagesize()] = b"1" * len(ballast[:: resource.getpagesize()])
    run(child)
    print("peak", child.peak_memory_bytes)


def light(child: ChildProcess, *_: str) -> None:
    """A task's process with little memory of its own."""
    try:
        child.run()
    except NilusError as error:
        print(f"{error}\nretryable {error.retryable}\npeak {child.peak_memory_bytes}")


def measured(child: ChildProcess, *_: str) -> None:
    """Print by how much this process grew over the run."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(child)
    print("grown", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


if __name__ == "__main__":
    # Whoever waits for this gives up after 60 s, and shows where it stood.
    faulthandler.dump_traceback_later(50)
    mode, entry, job, trace, *arguments = sys.argv[1:]
    globals()[mode](make(entry, Path(job), trace), *arguments)
