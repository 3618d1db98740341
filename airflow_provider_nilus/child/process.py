"""The child process that runs a source: started, listened to, and ended with everything it started.

Nothing here imports Airflow.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_nilus.child import crash_report
from airflow_provider_nilus.child.memory import PeakMemory
from airflow_provider_nilus.child.output import OutputStream, TaskLog
from airflow_provider_nilus.child.pipes import Pipes
from nilus.errors import ProcessError
from nilus.programs.process_group import ProcessGroup
from nilus.protocol.descendants import Descendants
from nilus.protocol.events import Event, Failed, Loaded, PackageRequest, Question, Unsettled, decode
from nilus.protocol.job import Job
from nilus.protocol.logs import SOURCE_LOGGER
from nilus.protocol.process_group import MARKER_VARIABLE, kill_strays
from nilus.values.secret_texts import LONGEST_SECRET, cut

EVENT_LIMIT = 256 << 20
"""Bytes of the largest event that is accepted."""

_TICK_SECONDS = 0.2
_EXIT_TICK_SECONDS = 0.01
_LEAVE_SECONDS = 5.0
_FAMILY_SECONDS = 2.0
_DRAIN_SECONDS = 2.0
_DRAIN_BYTES = 1 << 20


class ChildProcess:
    """Runs one job in a process group of its own.

    Args:
        job: what to run. It goes through a pipe, so secrets in it are in no argument list and no file.
        environ: the child's whole environment, see `child_environ`.
        logger: whose handlers write the task's log.
        on_event: called with each `Progress` and `Prepared`.
        answer: called with each question (`Unsettled`, `PackageRequest`); what it returns is the answer.
        mask: removes secrets from texts that are logged or raised.
        lost: tells whether nobody is left who would hear of the result; the run then ends.
        python: the interpreter to start.
        program: its arguments that start `nilus.runtime`.
        extra_args: further arguments of `nilus.runtime`.
        grace_seconds: time between SIGTERM and SIGKILL when the group is ended.
    """

    def __init__(
        self,
        job: Job,
        *,
        environ: Mapping[str, str],
        logger: logging.Logger,
        on_event: Callable[[Event], None],
        answer: Callable[[Question], dict[str, Any]],
        mask: Callable[[str], str] = str,
        lost: Callable[[], bool] = bool,
        python: str = sys.executable,
        program: Sequence[str] = ("-m", "nilus.runtime"),
        extra_args: Sequence[str] = (),
        grace_seconds: float = 2.0,
    ) -> None:
        self._job = job
        self._marker = secrets.token_hex(8)
        self._environ = {**environ, MARKER_VARIABLE: self._marker}
        self._logger = logger
        self._on_event = on_event
        self._answer = answer
        self._mask = mask
        self._lost = lost
        frame = f"\x1e{secrets.token_hex(8)}"
        self._command = [python, "-P", *program, "--frame", frame]
        self._extra_args = list(extra_args)
        self._log = TaskLog(logger, mask)
        self._stdout = OutputStream(self._log, frame.encode(), is_error=False)
        self._stderr = OutputStream(self._log, frame.encode(), is_error=True)
        self._group = ProcessGroup(grace_seconds)
        self._pipes = Pipes()
        self._memory: PeakMemory | None = None
        self._family: Descendants | None = None
        self._receivers = {
            "stdout": self._stdout.feed,
            "stderr": self._stderr.feed,
            "events": self._receive_events,
        }
        self._event = bytearray()
        self._final: Loaded | Failed | None = None
        self._leaving_since: float | None = None
        self._ran = False
        self._stopping = False
        self.peak_memory_bytes: int | None = None

    def run(self) -> Loaded:
        """Run the job and return the child's last event; may be called once.

        However this ends, also by an exception that a signal handler raises, the process group is gone afterwards.

        Raises:
            NilusError: what the child reported.
            ProcessError: the child could not be started, ended without a report, or `terminate` was called.
        """
        if self._ran:
            raise RuntimeError("a ChildProcess runs once")
        self._ran = True
        left = 0
        try:
            self._start()
            self._listen()
            left = self._group.stragglers()
        finally:
            self._end()
        if left:
            self._logger.warning("The source left %d processes running: they were ended.", left)
        return self._result()

    def terminate(self) -> None:
        """End the process group: SIGTERM, after the grace SIGKILL. Returns when it is gone; `run` then raises.

        May be called before, during and after `run`, more than once, from any thread and from a signal handler.
        """
        self._stopping = True
        if self._family is not None:
            self._family.look()
        self._group.terminate()
        if self._family is not None:
            self._family.kill()

    def _start(self) -> None:
        self._raise_if_stopping()
        self._pipes.open()
        *stdio, events = self._pipes.child_ends
        try:
            self._group.start(
                [*self._command, "--events-fd", str(events), *self._extra_args],
                environ=self._environ,
                folder=self._job.place.work_dir,
                stdio=stdio,
                keep_open=(events,),
            )
        except OSError as error:
            raise ProcessError(
                f"The child process could not be started: {error.strerror}.",
                expected=f"to start {self._command[0]} in {self._job.place.work_dir}",
                found=str(error.filename or ""),
                remedy="see to it that both exist on the worker, and that the environment is not too large",
            ) from error
        # Not before: what this process has used until it forked is what the kernel's figure for the child starts from.
        self._memory = PeakMemory()
        if self._group.pid:
            self._family = Descendants(self._group.pid)
        self._pipes.close_child_ends()
        self._logger.debug("Started child process %s.", self._group.pid)
        self._raise_if_stopping()
        self._pipes.send(self._job.to_json().encode() + b"\n")

    def _listen(self) -> None:
        quiet = False
        while not self._is_over(quiet):
            received = self._pipes.receive(_TICK_SECONDS if self._pipes.streams else _EXIT_TICK_SECONDS)
            for stream, data in received:
                self._receivers[stream](data)
            quiet = not received
            self._read_memory(pause=_TICK_SECONDS)
            if self._family is not None:
                self._family.look(pause=_FAMILY_SECONDS)
            self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self._lost():
            raise ProcessError(
                "The run was ended because the supervisor of its task is gone.",
                expected="Airflow's process that started this task, for as long as the task runs",
                found="that it has ended, perhaps killed because memory ran out",
                remedy="Airflow notices the missing heartbeat and fails the task or runs it again",
            )

    def _read_memory(self, pause: float = 0.0) -> None:
        if self._memory and self._group.pid:
            self._memory.read(self._group.pid, pause=pause)

    def _is_over(self, quiet: bool) -> bool:
        """Tell whether to stop listening: nothing more can come, or what should have ended by now has not.

        Processes the source has left behind may keep the pipes open for ever, and a child may hang while it exits.
        """
        now = time.monotonic()
        ended = self._group.has_ended()
        if not (ended or self._final or "events" not in self._pipes.streams):
            return False
        self._leaving_since = self._leaving_since or now
        if ended:
            return quiet or not self._pipes.streams or now - self._leaving_since > _DRAIN_SECONDS
        return now - self._leaving_since > _LEAVE_SECONDS

    def _end(self) -> None:
        try:
            if self._family is not None and not self._group.has_ended():
                self._family.look()
            self._group.end()
            if self._family is not None:
                self._family.kill()
            self._drain()
        finally:
            self._pipes.close()
            kill_strays(self._marker)
            if self._memory and self._group.usage:
                self.peak_memory_bytes = self._memory.at_end(self._group.usage)

    def _drain(self) -> None:
        """Log what is still in the pipes; a process that left the group may go on writing, so not for ever."""
        size = 0
        while size < _DRAIN_BYTES and (received := self._pipes.receive(0)):
            for stream, data in received:
                size += len(data)
                if stream != "events":
                    self._receivers[stream](data)
        self._stdout.close()
        self._stderr.close()

    def _receive_events(self, data: bytes) -> None:
        *ends, tail = data.split(b"\n")
        for end in ends:
            line = bytes(self._event + end)
            self._event.clear()
            self._handle(line)
        self._event += tail
        if len(self._event) > EVENT_LIMIT:
            raise ProcessError(
                "The child process sent an event that is too large.",
                expected=f"at most {EVENT_LIMIT >> 20} MiB",
                remedy="keep less in the source's state: it travels with every run",
                retryable=False,
            )

    def _handle(self, line: bytes) -> None:
        try:
            event = decode(line)
        except (ValueError, TypeError, AttributeError) as error:
            raise ProcessError(
                "The child process sent something that is not an event.",
                expected="one JSON object a line, written by nilus.runtime",
                found=cut(self._mask(repr(line[:LONGEST_SECRET])), 80),
                remedy="see to it that the source writes to no file descriptor it has not opened",
            ) from error
        if self._final is not None:
            return
        match event:
            case Loaded() | Failed():
                self._final = event
                self._read_memory()
            case Unsettled() | PackageRequest():
                answer = json.dumps(self._answer(event), separators=(",", ":"))
                self._pipes.send(answer.encode() + b"\n")
            case _:
                self._on_event(event)

    def _raise_if_stopping(self) -> None:
        if self._stopping:
            raise ProcessError(
                "The run was ended because its task was ended.",
                found="the task was killed, cleared, marked or timed out",
            )

    def _result(self) -> Loaded:
        self._raise_if_stopping()
        returncode = self._group.returncode
        if isinstance(self._final, Loaded):
            if returncode:
                self._logger.warning("The child process ended with %s after it had loaded.", returncode)
            return self._final
        if self._final is not None:
            if self._final.traceback:
                self._log.write(logging.ERROR, SOURCE_LOGGER, self._final.traceback)
            raise crash_report.failure(self._final, self._mask)
        raise crash_report.crash(returncode, self.peak_memory_bytes, self._log.tail)
