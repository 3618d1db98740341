"""The channel: how the code that runs in a child process speaks with its parent."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from typing import Any

from nilus.errors import ProcessError
from nilus.protocol.events import Event, EventWriter, Question

ANSWER_SECONDS = 600.0
"""How long `Channel.ask` waits by default: the parent may itself be retrying its requests to Airflow."""


class Channel:
    """Events out, answers in. May be used from any thread.

    Args:
        events_fd: descriptor the events are written to.
        line: returns the next line the parent wrote within so many seconds, else raises `queue.Empty`.
    """

    def __init__(self, events_fd: int, line: Callable[[float | None], bytes]) -> None:
        self._writer = EventWriter(events_fd)
        self._line = line
        self._asking = threading.Lock()

    def send(self, event: Event) -> None:
        """Send one event; blocks while the parent does not read.

        Raises:
            BrokenPipeError: the parent is gone.
        """
        self._writer.send(event)

    def ask(self, question: Question, timeout: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Send a question and return the parent's answer; one question at a time.

        Args:
            question: the event to send.
            timeout: seconds to wait for the answer.

        Raises:
            ProcessError: no answer came in time, or it is not a JSON object.
        """
        with self._asking:
            self.send(question)
            try:
                line = self._line(timeout)
            except queue.Empty:
                raise ProcessError(
                    f"The task did not answer the question {question.kind!r} within {timeout:.0f} seconds.",
                    remedy="see the task's log for what kept it; run the task again",
                ) from None
            return _answer(line)


def _answer(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ProcessError(
            "The task's answer cannot be read.",
            expected="one JSON object on one line",
            found=f"{len(line)} bytes that are none",
        )
    return answer
