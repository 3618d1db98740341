"""What the children of these tests run: each function stands in for `nilus.runtime.pipeline.run`."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nilus.errors import DestinationError
from nilus.protocol.channel import Channel
from nilus.protocol.events import Loaded, Prepared, Progress, Unsettled
from nilus.protocol.job import Job

IGNORES_TERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def loaded(**changes: Any) -> Loaded:
    document: dict[str, Any] = {
        "load_ids": ["1700000000.1"],
        "tables": {},
        "dataset": "raw",
        "destination": "duckdb",
        "reading": "full",
        "keeps_state": False,
        "state": {},
        "seconds": {},
    }
    return Loaded(**{**document, **changes})


def tell(job: Job, name: str, document: Any) -> None:
    """Write a file others wait for: whole, by rename."""
    part = Path(job.place.work_dir, f"{name}.part")
    part.write_text(json.dumps(document))
    part.rename(Path(job.place.work_dir, f"{name}.json"))


def spawn(code: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a grandchild and wait until it has printed a line."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **options)
    assert process.stdout is not None
    process.stdout.readline()
    return process


# --- ending ------------------------------------------------------------------------------------------------------


def tree(job: Job, channel: Channel) -> Loaded:
    """A family that does not want to go: one ignores SIGTERM, one is stopped, one has left for its own session."""
    stubborn = spawn(IGNORES_TERM)
    stopped = spawn(IGNORES_TERM)
    os.kill(stopped.pid, signal.SIGSTOP)
    escaped = spawn(IGNORES_TERM, start_new_session=True)
    ids = {"child": os.getpid(), "stubborn": stubborn.pid, "stopped": stopped.pid, "escaped": escaped.pid}
    tell(job, "ready", ids)
    time.sleep(600)
    return loaded()


DAEMON = """
import os, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open("daemon.part", "w") as file:
    file.write(str(os.getpid()))
os.rename("daemon.part", "daemon")
for number in range(3):
    os.close(number)
os.closerange(3, 1024)
time.sleep(600)
"""


def _daemon(job: Job) -> None:
    """Start what leaves its session, its parents, its descriptors and its environment."""
    subprocess.run([sys.executable, "-c", DAEMON], env={}, cwd=job.place.work_dir, check=True)
    while not Path(job.place.work_dir, "daemon").exists():
        time.sleep(0.01)


def leaves_a_daemon(job: Job, channel: Channel) -> Loaded:
    _daemon(job)
    return loaded()


def leaves_a_daemon_and_sleeps(job: Job, channel: Channel) -> Loaded:
    _daemon(job)
    tell(job, "ready", {"child": os.getpid()})
    time.sleep(600)
    return loaded()


def leaves_a_daemon_and_is_deaf(job: Job, channel: Channel) -> Loaded:
    _daemon(job)
    return deaf(job, channel)


def leaves_a_daemon_and_keeps_the_lock(job: Job, channel: Channel) -> Loaded:
    _daemon(job)
    return keeps_the_interpreter_lock(job, channel)


def tells_what_is_open(job: Job, channel: Channel) -> Loaded:
    import ctypes

    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    return loaded(state={"dumpable": dumpable, "core": resource.getrlimit(resource.RLIMIT_CORE)})


def deaf(job: Job, channel: Channel) -> Loaded:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spawn(IGNORES_TERM)
    tell(job, "ready", {"child": os.getpid()})
    time.sleep(600)
    return loaded()


def frozen(job: Job, channel: Channel) -> Loaded:
    tell(job, "ready", {"child": os.getpid()})
    os.kill(os.getpid(), signal.SIGSTOP)
    return loaded()


def keeps_the_interpreter_lock(job: Job, channel: Channel) -> Loaded:
    """A call into C that gives no other thread a turn, for far longer than the test."""
    spawn(IGNORES_TERM)
    tell(job, "ready", {"child": os.getpid()})
    re.match(r"(a+)+$", "a" * 60 + "b")
    return loaded()


def tidies_up(job: Job, channel: Channel) -> Loaded:
    grandchild = "\n".join(
        (
            "import pathlib, signal, sys, time",
            "def end(*_):",
            "    pathlib.Path('grandchild_tidied').touch()",
            "    sys.exit()",
            "signal.signal(signal.SIGTERM, end)",
            "print('up', flush=True)",
            "time.sleep(600)",
        )
    )
    spawn(grandchild)
    try:
        tell(job, "ready", {"child": os.getpid()})
        time.sleep(600)
    finally:
        Path("tidied").touch()
    return loaded()


def leaves_a_grandchild(job: Job, channel: Channel) -> Loaded:
    """The grandchild holds the pipes of the child that has ended."""
    process = subprocess.Popen([sys.executable, "-c", IGNORES_TERM])
    tell(job, "ready", {"grandchild": process.pid})
    return loaded()


def leaves_a_chatterbox(job: Job, channel: Channel) -> Loaded:
    subprocess.Popen([sys.executable, "-c", "while True: print('and another thing', flush=True)"])
    return loaded()


def leaves_an_escaped_one(job: Job, channel: Channel) -> Loaded:
    process = spawn(IGNORES_TERM, start_new_session=True)
    tell(job, "ready", {"escaped": process.pid})
    return loaded()


def leaves_threads(job: Job, channel: Channel) -> Loaded:
    threading.Thread(target=time.sleep, args=(600,)).start()
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    return loaded()


def registers_at_exit(job: Job, channel: Channel) -> Loaded:
    atexit.register(Path("at_exit").touch)
    return loaded()


def hangs_at_exit(job: Job, channel: Channel) -> Loaded:
    atexit.register(time.sleep, 600)
    return loaded()


def sleeps(job: Job, channel: Channel) -> Loaded:
    tell(job, "ready", {"child": os.getpid()})
    time.sleep(600)
    return loaded()


def closes_everything(job: Job, channel: Channel) -> Loaded:
    os.closerange(1, 256)
    time.sleep(600)
    return loaded()


# --- reports -----------------------------------------------------------------------------------------------------


def succeeds(job: Job, channel: Channel) -> Loaded:
    return loaded(state={"cursor": 5})


def large_state(job: Job, channel: Channel) -> Loaded:
    print(f"started from {len(job.state.sources['blob'])}")
    return loaded(state={"blob": "é" * 5_000_000})


def killed_by_9(job: Job, channel: Channel) -> Loaded:
    block = bytearray(300 << 20)
    block[:: resource.getpagesize()] = b"1" * len(block[:: resource.getpagesize()])
    print("reading page 7", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return loaded()


def small_killed_by_9(job: Job, channel: Channel) -> Loaded:
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
    return loaded()


def terminated_by_somebody(job: Job, channel: Channel) -> Loaded:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
    return loaded()


def segfault(job: Job, channel: Channel) -> Loaded:
    os.kill(os.getpid(), signal.SIGSEGV)
    return loaded()


def exits_with_3(job: Job, channel: Channel) -> Loaded:
    channel.send(Prepared(load_ids=["1"], tables=["orders"]))
    print("the last line")
    os._exit(3)


def sys_exits(job: Job, channel: Channel) -> Loaded:
    sys.exit(0)


def out_of_memory(job: Job, channel: Channel) -> Loaded:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return loaded(state={"blob": "x" * (4 << 30)})


def raises_ours(job: Job, channel: Channel) -> Loaded:
    raise DestinationError(
        "The sink refused the password hunter2-hunter2.",
        expected="a password",
        found="hunter2-hunter2",
        remedy="correct it",
        retryable=True,
    )


def raises_a_chain(job: Job, channel: Channel) -> Loaded:
    print("about to fail with hunter2-hunter2")
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("page 3 of hunter2-hunter2") from error
    return loaded()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raises_the_unprintable(job: Job, channel: Channel) -> Loaded:
    raise Unprintable


def state_is_no_json(job: Job, channel: Channel) -> Loaded:
    return loaded(state={"when": object()})


def writes_garbage_for_events(job: Job, channel: Channel) -> Loaded:
    os.write(channel._writer._fd, b"not json\n")
    time.sleep(600)
    return loaded()


def reports_progress(job: Job, channel: Channel) -> Loaded:
    channel.send(Progress(step="extract", seconds=1.5, rows={"orders": 10}))
    channel.send(Prepared(load_ids=["1"], tables=["orders"]))
    return loaded()


def asks(job: Job, channel: Channel) -> Loaded:
    """Ask from several threads at once; answers and questions stay together."""
    answers: dict[str, Any] = {}

    def ask(number: int) -> None:
        answers[str(number)] = channel.ask(Unsettled(entries=[{"load_id": str(number)}]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loaded(state=answers)


# --- output ------------------------------------------------------------------------------------------------------


def speaks(job: Job, channel: Channel) -> Loaded:
    logger = logging.getLogger("shop.orders")
    print("one")
    logger.warning("two")
    print("three", end="")
    logger.info("four")
    print("five", flush=True)
    logger.error("six\nand a half")
    logging.getLogger("shop").debug("below the level")
    os.write(1, b"seven\n")
    logger.critical("eight %s", "%d")
    return loaded()


def logs_an_exception(job: Job, channel: Channel) -> Loaded:
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        logging.getLogger("shop").exception("division")
    return loaded()


def basic_config(job: Job, channel: Channel) -> Loaded:
    layout = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
    logging.basicConfig(level=logging.DEBUG, format=layout, force=True)
    logging.basicConfig(level=logging.CRITICAL)
    logger = logging.getLogger("shop.orders")
    logger.debug("a detail")
    logger.warning("a warning")
    logging.basicConfig(level="INFO", stream=sys.stdout, force=True)
    logger.debug("another detail")
    logging.basicConfig(format=layout, handlers=[logging.StreamHandler(sys.stdout)], force=True)
    logger.info("a message")
    with contextlib.suppress(ImportError):
        from rich.logging import RichHandler

        logging.basicConfig(handlers=[RichHandler()], force=True)
    logger.info("another message")
    logging.basicConfig(filename="source.log", force=True, format="%(message)s")
    logger.info("for the file")
    return loaded()


def own_handler(job: Job, channel: Channel) -> Loaded:
    logger = logging.getLogger("shop")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("[%(levelname)s] mine: %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.warning("hello")
    return loaded()


def warns(job: Job, channel: Channel) -> Loaded:
    warnings.warn("old spelling", UserWarning, stacklevel=1)
    return loaded()


def thread_fails(job: Job, channel: Channel) -> Loaded:
    def fail() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=fail, name="reader")
    thread.start()
    thread.join()
    return loaded()


def writes_to_stderr(job: Job, channel: Channel) -> Loaded:
    lines = (
        "plain",
        "WARNING:other.tool:careful: now",
        "[ERROR] wrong",
        "2026-01-02 03:04:05,678 ERROR late",
        "2026-01-02T03:04:05.678Z | DEBUG | fine",
        "ERRORS are what this line is about",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "    1/0",
        "ZeroDivisionError: division by zero",
        "plain again",
    )
    sys.stderr.write("\n".join(lines) + "\n")
    return loaded()


def grandchild_fails(job: Job, channel: Channel) -> Loaded:
    subprocess.run([sys.executable, "-c", "1/0"], check=False)
    return loaded()


def not_utf_8(job: Job, channel: Channel) -> Loaded:
    os.write(1, b"caf\xe9 \xff\n")
    os.write(1, "déjà vu\n".encode())
    print("half a pair \udc80")
    logging.getLogger("shop").info("half a pair \udc80")
    return loaded()


def draws_progress(job: Job, channel: Channel) -> Loaded:
    for percent in range(101):
        sys.stderr.write(f"\r{percent:3}%|{'#' * percent}")
        sys.stderr.flush()
    sys.stderr.write("\n")
    print("dos line\r")
    return loaded()


def sends_escapes(job: Job, channel: Channel) -> Loaded:
    print("\x1b[31mred\x1b[0m and\x00nul \x1b]0;title\x07bell \x1b[2J\x1b]unfinished")
    logging.getLogger("shop").info("\x1b[1mbold\x1b[0m\x00\ttab\nnext")
    return loaded()


def dlt_logs(job: Job, channel: Channel) -> Loaded:
    from dlt.common import logger
    from dlt.common.logger import _create_logger

    logger.LOGGER = _create_logger("dlt", "WARNING", "{asctime}|[{levelname}]|{message}", "", {})
    logger.warning("from dlt")
    return loaded()


def odd_levels(job: Job, channel: Channel) -> Loaded:
    logging.addLevelName(25, "NOTICE")
    logging.getLogger("shop").log(25, "notice")
    logging.getLogger("shop").log(60, "above all")
    return loaded()


def logs_from_all_threads(job: Job, channel: Channel) -> Loaded:
    def speak(number: int) -> None:
        for count in range(200):
            logging.getLogger(f"thread{number}").info("%d %s", count, "x" * 6000)
            print(f"printed by {number} {count}")

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loaded()


def one_line_of_50_mb(job: Job, channel: Channel) -> Loaded:
    for _ in range(50):
        os.write(1, b"x" * 1_000_000)
    os.write(1, b"\nafter\n")
    return loaded()


def message_of_50_mb(job: Job, channel: Channel) -> Loaded:
    logging.getLogger("shop").warning("begin %s end", "y" * 50_000_000)
    return loaded()


def output_of_100_mb(job: Job, channel: Channel) -> Loaded:
    line = "z" * 499
    for _ in range(100_000):
        print(line)
    for _ in range(50):
        sys.stderr.write("w" * 1_000_000)
    return loaded()


def secret_at_the_cut(job: Job, channel: Channel) -> Loaded:
    print("-" * (65_536 - 5) + "hunter2-hunter2" + "-" * 100_000)
    return loaded()


# --- environment -------------------------------------------------------------------------------------------------


def links() -> Iterator[str]:
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            yield str(path.readlink())


def looks_around(job: Job, channel: Channel) -> Loaded:
    grandchild = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd')), os.read(0, 10))"
    return loaded(
        state={
            "environ": dict(os.environ),
            "argv": Path("/proc/self/cmdline").read_text(),
            "cwd": str(Path.cwd()),
            "path": sys.path,
            "stdin": sys.stdin.read(),
            "fd_0": str(Path("/proc/self/fd/0").readlink()),
            "fds": sorted(links()),
            "grandchild": subprocess.run(
                [sys.executable, "-c", grandchild], capture_output=True, text=True, close_fds=False, check=True
            ).stdout,
            "modules": sorted(sys.modules),
            "session": os.getsid(0) == os.getpid() == os.getpgrp(),
        }
    )
