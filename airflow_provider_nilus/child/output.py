"""A child's output: bytes from two pipes become records of the task's log.

Standard output carries the child's log records, each framed as one line (`nilus.protocol.logs`), and whatever is
printed: that is INFO of the logger `nilus.source`. Standard error is INFO as well, for progress bars and other tools
write there, except where a line says its level itself (`WARNING:name:text`, `2026-01-01 12:00:00 ERROR text`,
`[ERROR] text`) and except tracebacks, whose lines are ERROR.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nilus.protocol.logs import SOURCE_LOGGER
from nilus.values.secret_texts import LONGEST_SECRET, cut

LINE_LIMIT = 1 << 16
"""Characters of one record that reach the log."""

FRAME_LIMIT = 1 << 21
"""Bytes of a framed log record; the child cuts its messages so that they stay below."""

PROGRESS_SECONDS = 5.0
"""How often the state of a line that is written over and over (carriage return) is logged."""

# More of a line is held than is shown: what it ends with may be a part of a secret, which is not masked.
_HELD = LINE_LIMIT + 2 * LONGEST_SECRET
_TAIL_LINES = 20
_TAIL_WIDTH = 500

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
    "FATAL": logging.CRITICAL,
}
_LEVEL = "|".join(_LEVELS)
_BASIC_LINE = re.compile(rf"({_LEVEL}):([\w.]+):(.*)", re.DOTALL)
_TIME = r"\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]?[\s|-]*"
_LEVEL_LINE = re.compile(rf"(?:{_TIME})?\[?({_LEVEL})[\]:\s|-]")
_TRACEBACK = re.compile(
    r"(\s*\+ )?(Exception Group )?Traceback \(most recent|Fatal Python error:|(Current t|T)hread 0x"
)


@dataclass(frozen=True)
class Line:
    """One line without its end; `left_out` counts the bytes that were not kept."""

    data: bytes
    left_out: int = 0


class Lines:
    """Cuts a stream of bytes into lines, and never holds more than a limit of one line.

    Of a line that is written over with carriage returns, as progress bars do, only the last state is a line; while
    it goes on, its state is one every `PROGRESS_SECONDS`.

    Args:
        prefix: lines that begin with it may be `FRAME_LIMIT` bytes long, others little more than `LINE_LIMIT`.
    """

    def __init__(self, prefix: bytes = b"") -> None:
        self._prefix = prefix
        self._line = bytearray()
        self._left_out = 0
        self._returned = False
        self._progress_at = 0.0

    def feed(self, data: bytes) -> Iterator[Line]:
        """Take the next bytes and yield the lines that are complete."""
        *ends, tail = data.split(b"\n")
        for end in ends:
            yield from self._add(end)
            yield self._take()
        yield from self._add(tail)

    def close(self) -> Iterator[Line]:
        """Yield what the stream ended with, if it did not end with a newline."""
        if self._line:
            yield self._take()

    def _take(self) -> Line:
        line = Line(bytes(self._line), self._left_out)
        self._line.clear()
        self._left_out = 0
        self._returned = False
        return line

    def _add(self, piece: bytes) -> Iterator[Line]:
        if not piece:
            return
        text = piece.rstrip(b"\r")
        if self._returned and text:
            yield from self._write_over()
        *states, last = text.split(b"\r")
        for state in states:
            self._append(state)
            yield from self._write_over()
        self._append(last)
        self._returned = len(text) < len(piece)

    def _write_over(self) -> Iterator[Line]:
        state = self._take()
        now = time.monotonic()
        if state.data and now - self._progress_at >= PROGRESS_SECONDS:
            self._progress_at = now
            yield state

    def _append(self, piece: bytes) -> None:
        framed = self._prefix and (self._line or piece).startswith(self._prefix)
        room = (FRAME_LIMIT if framed else _HELD) - len(self._line)
        self._line += piece[: max(room, 0)]
        self._left_out += max(len(piece) - max(room, 0), 0)


class TaskLog:
    """Writes records of a child into the log of the task.

    Each becomes a record with the child's logger name, handed to the handlers of `logger` directly. So the name is
    kept without the task's process making a logger for every name a source invents, and the levels configured for
    loggers of that name in the task's process do not apply a second time: the child has filtered. The level of a
    handler does apply; under Airflow that is `[logging] logging_level`.

    Args:
        logger: whose handlers, with those of its ancestors, write the log.
        mask: removes secrets from a text.
    """

    def __init__(self, logger: logging.Logger, mask: Callable[[str], str]) -> None:
        self._logger = logger
        self._mask = mask
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def write(self, level: int, name: str, text: str, *, path: str = "", line: int = 0, left_out: int = 0) -> None:
        """Write one record.

        Args:
            level: any number; it is rounded down to one of the five standard levels, others Airflow drops.
            name: of the logger.
            text: the message, line breaks allowed. Escape sequences are removed, control characters escaped.
            path, line: where in the child's code it was logged.
            left_out: bytes that are missing at the end of `text`.
        """
        message = self._mask(clean(text))
        shown = min(LINE_LIMIT, max(len(message) - LONGEST_SECRET, 0)) if left_out else LINE_LIMIT
        left_out += len(message[shown:].encode())
        if left_out:
            message = f"{message[:shown]} [… {left_out:,} bytes left out]"
        self.tail.extend(cut(one, _TAIL_WIDTH) for one in message.splitlines()[-_TAIL_LINES:])
        standard = min(max(level // 10 * 10, logging.DEBUG), logging.CRITICAL)
        self._logger.handle(logging.LogRecord(name, standard, path, line, message, (), None))


class OutputStream:
    """One of the two streams on its way into the log.

    Args:
        log: where the lines go.
        prefix: what framed records begin with.
        is_error: this is standard error: lines may tell their level.
    """

    def __init__(self, log: TaskLog, prefix: bytes, *, is_error: bool) -> None:
        self._log = log
        self._prefix = prefix
        self._lines = Lines(prefix)
        self._is_error = is_error
        self._in_traceback = False
        self._empty = 0

    def feed(self, data: bytes) -> None:
        """Log the lines that are complete with these bytes."""
        for line in self._lines.feed(data):
            self._write(line)

    def close(self) -> None:
        """Log an unfinished last line."""
        for line in self._lines.close():
            self._write(line)

    def _write(self, line: Line) -> None:
        if not line.data:
            self._empty += 1
            return
        framed = line.data.startswith(self._prefix)
        for _ in range(self._empty - framed):
            self._log.write(logging.INFO, SOURCE_LOGGER, "")
        self._empty = 0
        if not (framed and self._write_frame(line.data[len(self._prefix) :])):
            self._write_text(line)

    def _write_frame(self, data: bytes) -> bool:
        try:
            frame = json.loads(data)
            self._log.write(
                int(frame["level"]), frame["logger"], frame["message"], path=frame["path"], line=frame["line"]
            )
        except (ValueError, KeyError, TypeError):
            return False
        return True

    def _write_text(self, line: Line) -> None:
        # Where the line was cut, a character may have been cut through: not final, so it is left out.
        text = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode(line.data, not line.left_out)
        level, name = logging.INFO, SOURCE_LOGGER
        if self._is_error:
            level, name, text = self._classify(text)
        self._log.write(level, name, text, left_out=line.left_out)

    def _classify(self, text: str) -> tuple[int, str, str]:
        if _TRACEBACK.match(text):
            self._in_traceback = True
            return logging.ERROR, SOURCE_LOGGER, text
        if self._in_traceback:
            # Its frames are indented; the first line that is not names the exception and is its last.
            self._in_traceback = text[:1].isspace()
            return logging.ERROR, SOURCE_LOGGER, text
        if basic := _BASIC_LINE.match(text):
            return _LEVELS[basic[1]], basic[2], basic[3]
        if told := _LEVEL_LINE.match(text):
            return _LEVELS[told[1]], SOURCE_LOGGER, text
        return logging.INFO, SOURCE_LOGGER, text


def clean(text: str) -> str:
    """Return the text without terminal escape sequences, other control characters written as `\\x00`."""
    if "\x1b" in text:
        text = _ESCAPE_SEQUENCE.sub("", text)
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))
