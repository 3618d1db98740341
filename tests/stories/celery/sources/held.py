"""Four resources that begin together, one of whose loads can be held in its middle."""

import functools
import os
import threading
import time
from pathlib import Path

import nilus
from nilus import CustomSource

NAMES = ("customers", "orders", "parts", "users")
HELD = "orders"
ROWS = 1000
BOUND = 180


def wait_for(condition, what):
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.05)


def hold_after_the_first_file(folder):
    """Let the first file of the load be committed, then wait for as long as there is a file `hold`."""
    from dlt.common.destination.client import RunnableLoadJob

    original, lock, done = RunnableLoadJob.run_managed, threading.Lock(), []

    @functools.wraps(original)
    def run_managed(self, *args, **kwargs):
        with lock:
            original(self, *args, **kwargs)
            done.append(self)
            if len(done) == 1 and (folder / "hold").exists():
                (folder / "new").write_text(os.environ["NILUS_TESTS_COMPONENT"])
                (folder / "new").rename(folder / "held")
                wait_for(lambda: not (folder / "hold").exists(), "the end of the hold")

    RunnableLoadJob.run_managed = run_managed


def rows(name, folder):
    with (folder / "tries").open("a") as file:
        file.write(f"{name} {os.environ['NILUS_TESTS_COMPONENT']} {time.time():.1f}\n")
    begun = folder / "begun"
    begun.mkdir(exist_ok=True)
    (begun / name).touch()
    if name == HELD:
        hold_after_the_first_file(folder)
    wait_for(lambda: len(list(begun.iterdir())) == len(NAMES), "the other resources")
    cursor = nilus.current.resource_state()
    begin = cursor.get("next", 0)
    for number in range(begin, begin + ROWS):
        yield {"number": number, "of": name}
    cursor["next"] = begin + ROWS


class Held(CustomSource):
    """`options.folder`: where it tells what it does, and is told what to do."""

    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, folder, **kwargs):
        return [nilus.resource(rows, name=name, write_disposition="append")(name, Path(folder)) for name in NAMES]
