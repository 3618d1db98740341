"""The child process: `python -P -m nilus.runtime --events-fd N --frame TEXT`.

Reads a `Job` as one line from standard input, runs it, and tells on descriptor N what happens; the last
event is `Loaded` (exit code 0) or `Failed` (exit code 1). Later lines of standard input answer its questions;
its end is the parent's death and ends this process at once (`nilus.runtime.watchdog`). The source's own
standard input is empty.
"""

from __future__ import annotations

from nilus.runtime.confinement import hide_from_neighbours, inherit_orphans

if __name__ == "__main__":  # before anything else is imported
    hide_from_neighbours()

import argparse
import atexit
import faulthandler
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from nilus.errors import NilusError, ProcessError
from nilus.protocol import logs
from nilus.protocol.channel import Channel
from nilus.protocol.descendants import Descendants
from nilus.protocol.events import Failed, Loaded
from nilus.protocol.job import Job
from nilus.runtime.engine import endings
from nilus.runtime.watchdog import Watchdog
from nilus.values.secret_texts import cut, cut_middle

TERMINATED = 128 + signal.SIGTERM
"""Exit code after SIGTERM, as shells write it."""

_LEAVE_SECONDS = 2.0
_TEXT_LIMIT = 4_000
_TRACEBACK_LIMIT = 60_000


class TerminationRequest(BaseException):
    """SIGTERM came: unwind, so that `finally` blocks of the source run, and exit."""


def main() -> NoReturn:
    """Run one job in this process, and leave it."""
    arguments = _arguments()
    _reset_signals()
    watchdog = Watchdog(_take_stdin())
    os.set_inheritable(arguments.events_fd, False)
    watchdog.start()
    inherit_orphans()  # behind the guard, which is nobody's business here
    logs.open_streams()
    _dump_python_stack_on_crash()
    channel = Channel(arguments.events_fd, watchdog.line)
    code = 1
    try:
        _end_on_sigterm(watchdog)
        code = _run(channel, watchdog, arguments)
    except TerminationRequest:
        code = TERMINATED
    finally:
        _leave(watchdog, code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nilus.runtime")
    parser.add_argument("--events-fd", type=int, required=True, help="descriptor the events are written to")
    parser.add_argument("--frame", required=True, help="what a framed log line begins with")
    parser.add_argument("--entry", default="nilus.runtime.pipeline:run", help=argparse.SUPPRESS)
    return parser.parse_args()


def _reset_signals() -> None:
    """Undo what a worker may have set and exec handed on: ignored children, blocked signals."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _take_stdin() -> int:
    """Move standard input to a private descriptor, and give the source an empty one."""
    private = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    return private


def _dump_python_stack_on_crash() -> None:
    """Have a crash print the Python stack alone: the stack of C that Python 3.14 adds fills the log's last lines."""
    if sys.version_info >= (3, 14):
        faulthandler.enable(c_stack=False)
    else:
        faulthandler.enable()


def _end_on_sigterm(watchdog: Watchdog) -> None:
    def terminate(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        watchdog.exit_within(2 * _LEAVE_SECONDS, TERMINATED)
        raise TerminationRequest

    signal.signal(signal.SIGTERM, terminate)


def _run(channel: Channel, watchdog: Watchdog, arguments: argparse.Namespace) -> int:
    try:
        job = Job.from_json(watchdog.line(None))
        logs.configure(job.place.log_level, arguments.frame)
        loaded = _entry(arguments.entry)(job, channel)
        logs.flush()
        channel.send(loaded)
    except TerminationRequest:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        logs.flush()
        with suppress(BrokenPipeError):
            channel.send(Failed(error=explain(error).as_dict(), traceback=_traceback(error)))
        return 1
    return 0


def _entry(name: str) -> Callable[[Job, Channel], Loaded]:
    module, _, function = name.partition(":")
    entry: Callable[[Job, Channel], Loaded] = getattr(importlib.import_module(module), function)
    return entry


def explain(error: BaseException) -> NilusError:
    """Return the error that crosses the process border in place of `error`: one of ours stays what it is."""
    if isinstance(error, NilusError):
        return error
    if isinstance(error, SystemExit):
        return endings.explain(error)
    if isinstance(error, MemoryError):
        return ProcessError(
            "The run is out of memory.",
            found=_text(error),
            remedy="yield rows in smaller lists, set a smaller page-size, or give the task more memory",
        )
    return ProcessError(_text(error), remedy="see the traceback in the log")


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the source's own __str__
        text = "(its text cannot be read)"
    name = type(error).__qualname__
    return _shorten(f"{name}: {text}" if text else name)


def _shorten(text: str) -> str:
    return cut(text, _TEXT_LIMIT, "[…]")


def _traceback(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - the source's own __str__ and __repr__
        text = f"The traceback of {type(error).__qualname__} cannot be formatted."
    return cut_middle(text, _TRACEBACK_LIMIT)


def _leave(watchdog: Watchdog, code: int) -> NoReturn:
    """Exit without waiting for threads the source left; what is registered with `atexit` gets two seconds."""
    try:
        watchdog.exit_within(_LEAVE_SECONDS, code)
        atexit._run_exitfuncs()
        logs.flush()
        Descendants(os.getpid(), spared_group=os.getpgrp()).kill()  # the group is the parent's to end, and to report
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
