"""The child's logging: every record leaves the process whole, with its level and the name of its logger.

Records and `print` share one pipe, standard output, so that their order is kept. A record is written as one
line: a prefix that nothing else writes, then JSON. The parent makes a log record of it again, and takes every
other line for a `print`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from io import TextIOWrapper
from typing import Any, TextIO

from nilus.values.secret_texts import cut_middle

SOURCE_LOGGER = "nilus.source"
"""The logger's name for what a source writes without a logger."""

MESSAGE_LIMIT = 200_000
"""Characters of one message that cross the process border; of a longer one the middle is cut out."""

_DLT_LOGGER = "dlt"
_basic_config = logging.basicConfig


class FrameHandler(logging.Handler):
    """Writes each record as one framed line to standard output.

    A newline goes before the frame, so that it never continues a line that `print(…, end="")` left open; the
    parent takes the empty line this makes for part of the frame. A formatter set on it has no effect: dlt
    sets one on the handler it finds on its logger.

    Args:
        prefix: what a framed line begins with.
        stream: the text stream `print` writes to; it is flushed first, which keeps the order.
    """

    def __init__(self, prefix: str, stream: TextIO) -> None:
        super().__init__()
        self._prefix = prefix
        self._stream = stream
        self._text = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; one that cannot be formatted is reported on standard error, as logging does."""
        try:
            frame = {
                "level": record.levelno,
                "logger": record.name,
                "message": _shorten(self._text.format(record)),
                "path": record.pathname,
                "line": record.lineno,
            }
            line = f"\n{self._prefix}{json.dumps(frame, ensure_ascii=False)}\n"
            self._stream.flush()
            data = memoryview(line.encode("utf-8", "backslashreplace"))
            while data:
                data = data[os.write(self._stream.fileno(), data) :]
        except Exception:  # noqa: BLE001 - the contract of logging.Handler.emit
            self.handleError(record)


def open_streams() -> None:
    """Open `sys.stdout` and `sys.stderr` anew on descriptors 1 and 2: UTF-8, a whole line per write.

    A line is out as soon as it ends, so a process that is killed has lost none. What UTF-8 cannot write is
    escaped.
    """
    sys.stdout = sys.__stdout__ = _line_stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _line_stream(2)  # type: ignore[misc]


def configure(level: str, prefix: str) -> None:
    """Send the records of all loggers, warnings and the last words of threads through one handler.

    `logging.basicConfig` is replaced: it does what it does, but the handlers it would add for the console are
    left out, and ours stays. Handlers a source attaches itself to a logger work as they do anywhere.

    Args:
        level: name of the level below which records are dropped; an unknown one counts as INFO.
        prefix: what a framed line begins with.
    """
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    handler = FrameHandler(prefix, sys.stdout)
    handler.setLevel(number)
    root = logging.getLogger()
    root.setLevel(number)
    root.handlers[:] = [handler]
    # dlt's logger does not propagate, and takes the handler it finds instead of making one.
    logging.getLogger(_DLT_LOGGER).handlers[:] = [handler]
    _keep_on_basic_config(handler)
    logging.captureWarnings(True)
    threading.excepthook = _thread_failed
    sys.unraisablehook = _unraisable


def flush() -> None:
    """Write out what the standard streams hold."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            continue


def _line_stream(fd: int) -> TextIOWrapper:
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _shorten(text: str) -> str:
    return cut_middle(text, MESSAGE_LIMIT, f"\n[… {len(text) - MESSAGE_LIMIT:,} characters left out …]\n")


def _keep_on_basic_config(handler: logging.Handler) -> None:
    configured = False

    def basic_config(**kwargs: Any) -> None:
        """Do what `logging.basicConfig` does, without its console handlers and without losing ours."""
        nonlocal configured
        if configured and not kwargs.get("force", False):
            return
        configured = True
        root = logging.getLogger()
        before = list(root.handlers)
        root.removeHandler(handler)
        try:
            _basic_config(**kwargs)
        finally:
            for added in [one for one in root.handlers if one not in before and _writes_to_console(one)]:
                root.removeHandler(added)
            root.addHandler(handler)

    logging.basicConfig = basic_config


def _writes_to_console(handler: logging.Handler) -> bool:
    # rich's handler keeps its stream in a console.
    holders = (handler, getattr(handler, "console", None))
    streams = [getattr(holder, name, None) for holder in holders for name in ("stream", "file")]
    return any(stream in (sys.stdout, sys.stderr) for stream in streams if stream is not None)


def _thread_failed(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit:
        return
    name = arguments.thread.name if arguments.thread else "?"
    failure = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
    logging.getLogger(SOURCE_LOGGER).error("Thread %s failed", name, exc_info=failure)  # type: ignore[arg-type]


def _unraisable(arguments: Any) -> None:
    failure = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
    message = arguments.err_msg or "Exception ignored in"
    logging.getLogger(SOURCE_LOGGER).warning("%s: %r", message, arguments.object, exc_info=failure)
