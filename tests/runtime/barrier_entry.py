import os, time
from pathlib import Path
from nilus.runtime import journal, pipeline
original = journal.SqlJournal.enter
def enter(self, run, *a, **k):
    folder = Path(os.environ["BARRIER"])
    (folder / run.state_key).touch()
    while len(list(folder.iterdir())) < int(os.environ["PARTIES"]):
        time.sleep(0.001)
    return original(self, run, *a, **k)
journal.SqlJournal.enter = enter
run = pipeline.run
