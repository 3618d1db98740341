"""A source that never ends, and whose processes do not want to end either."""

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import nilus
from nilus import CustomSource

DEAF = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
file = pathlib.Path(sys.argv[1])
file.with_suffix(".new").write_text(str(os.getpid()))
file.with_suffix(".new").rename(file)
time.sleep(3600)
"""


@nilus.resource
def nothing(folder):
    yield {"id": 1}
    for name, new_session in (("grandchild", False), ("stray", True)):
        subprocess.Popen([sys.executable, "-c", DEAF, str(folder / name)], start_new_session=new_session)
        while not (folder / name).exists():
            time.sleep(0.02)
    (folder / "new").write_text(str(os.getpid()))
    (folder / "new").rename(folder / "child")
    for _ in range(36_000):
        print("still here", flush=True)
        time.sleep(0.1)


@nilus.source
def hanging(folder):
    return nothing(folder)


class Hanging(CustomSource):
    """`custom://Hanging?folder=/path`: writes the ids of its processes there, `child` last, and sleeps."""

    def nilus_source(self, uri, table, **kwargs):
        return hanging(Path(parse_qs(urlparse(uri).query)["folder"][0]))
