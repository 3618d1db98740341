"""Many processes and one cache: one fetch, no torn checkout, nothing lost when one is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_fixture import GitRepository

from nilus.cache.file_lock import FileLock
from nilus.programs.deadline import Deadline
from nilus.repository import Checkout, Settings, checkout

Start = Callable[..., subprocess.Popen[str]]
Wait = Callable[..., None]

PROCESSES = 20

# Says it is ready, waits for a file to appear, checks out, waits for another file, looks at what it has.
TASK = """
import json, logging, sys, time
from pathlib import Path
from nilus.repository import Settings, checkout
cache, url, ref, ready, go, finish, max_bytes = sys.argv[1:]
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
def wait(path):
    end = time.monotonic() + 120
    while not Path(path).exists():
        assert time.monotonic() < end, path
        time.sleep(0.01)
settings = Settings(cache_dir=Path(cache), cache_max_bytes=int(max_bytes), allowed_protocols=("http",))
Path(ready).touch()
wait(go)
with checkout(url, ref, settings=settings) as got:
    Path(ready + ".got").touch()
    wait(finish)
    text = (got.path / "source.py").read_text()
    files = sorted(str(p.relative_to(got.path)) for p in got.path.rglob("*"))
    print("RESULT " + json.dumps({"commit": got.commit, "cached": got.cached, "text": text, "files": files}))
"""


# The same in many processes that are quickly made.
TASKS = """
import os, sys
from pathlib import Path
code, number, folder, *arguments = sys.argv[1:]
import nilus.repository, git
for task in range(int(number)):
    if os.fork() == 0:
        sys.argv = ["task", *arguments[:3], f"{folder}/ready-{task}", *arguments[3:]]
        sys.stdout = sys.stderr = Path(f"{folder}/output-{task}").open("w")
        exec(code, {})
        sys.stdout.flush()
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
for task in range(int(number)):
    print(Path(f"{folder}/output-{task}").read_text())
"""


class Tasks:
    """Processes that start their checkout together and end it together."""

    def __init__(self, start: Start, folder: Path, cache: Path, max_bytes: int = 10**9) -> None:
        self._start, self._folder, self._cache, self._max_bytes = start, folder, cache, max_bytes
        self.processes: list[subprocess.Popen[str]] = []

    def add(self, url: str, ref: str) -> subprocess.Popen[str]:
        ready = self._folder / f"ready-{len(self.processes)}"
        files = (ready, self._folder / "go", self._folder / "finish")
        process = self._start(TASK, self._cache, url, ref, *files, self._max_bytes)
        self.processes.append(process)
        return process

    def add_many(self, number: int, url: str, ref: str) -> None:
        files = (self._folder / "go", self._folder / "finish")
        process = self._start(TASKS, TASK, number, self._folder, self._cache, url, ref, *files, self._max_bytes)
        self.processes.append(process)

    def count(self, what: str) -> int:
        return len(list(self._folder.glob(f"ready-*{what}")))

    def are_ready(self) -> bool:
        return all((self._folder / f"ready-{number}").exists() for number in range(len(self.processes)))

    def go(self) -> None:
        (self._folder / "go").touch()

    def finish(self) -> None:
        (self._folder / "finish").touch()

    def results(self) -> list[dict[str, Any]]:
        results = []
        for process in self.processes:
            output = process.communicate(timeout=120)[0]
            assert process.returncode == 0, output
            lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
            assert lines, output
            results += [json.loads(line.removeprefix("RESULT ")) for line in lines]
        return results


@pytest.fixture
def tasks(start_python: Start, tmp_path: Path, settings: Settings) -> Tasks:
    folder = tmp_path / "signals"
    folder.mkdir()
    return Tasks(start_python, folder, settings.cache_dir)


def staged(settings: Settings) -> list[Path]:
    return list((settings.cache_dir / "git-v1" / "staging").iterdir())


@pytest.mark.parametrize("by_hash", [True, False], ids=["hash", "branch"])
def test_many_processes_that_start_at_once_on_one_commit_make_one_fetch(
    tasks: Tasks, git_server: Any, origin: GitRepository, settings: Settings, wait_until: Wait, by_hash: bool
) -> None:
    tasks.add_many(PROCESSES, git_server.url(), origin.head if by_hash else "main")
    wait_until(lambda: tasks.count("") == PROCESSES, "all processes are ready", 120)
    tasks.go()
    # All of them have it, and use it, at the same time.
    wait_until(lambda: tasks.count(".got") == PROCESSES, "all processes have the checkout", 120)
    tasks.finish()
    results = tasks.results()

    assert len(results) == PROCESSES
    assert git_server.count("fetch") == 1
    assert git_server.count("ls-refs") == (0 if by_hash else PROCESSES)
    assert [result["cached"] for result in results].count(False) == 1
    assert {result["text"] for result in results} == {"first\n"}
    assert {tuple(result["files"]) for result in results} == {("folder", "folder/data.txt", "source.py")}
    assert staged(settings) == []


def test_two_commits_at_once_do_not_disturb_each_other(
    tasks: Tasks, git_server: Any, origin: GitRepository, wait_until: Wait
) -> None:
    first = origin.head
    second = origin.commit({"source.py": "second\n"})
    for number in range(8):
        tasks.add(git_server.url(), first if number % 2 else second)
    wait_until(tasks.are_ready, "all processes are ready", 120)
    tasks.go()
    tasks.finish()
    results = tasks.results()

    assert git_server.count("fetch") == 2
    for result in results:
        assert result["text"] == ("first\n" if result["commit"] == first else "second\n")


def test_a_fetch_that_hangs_holds_up_only_those_who_want_the_same(
    tasks: Tasks, git_server: Any, origin: GitRepository, wait_until: Wait, settings: Settings
) -> None:
    first = origin.head
    git_server.hold = threading.Event()
    tasks.add(git_server.url(), first)
    tasks.go()
    wait_until(git_server.holding.is_set, "the first process fetches")
    hold, git_server.hold = git_server.hold, None
    second = origin.commit({"source.py": "second\n"})

    with checkout(git_server.url(), second, settings=settings) as other:
        assert (other.path / "source.py").read_text() == "second\n"
    hold.set()
    tasks.finish()
    assert tasks.results()[0]["text"] == "first\n"


def test_a_process_killed_while_it_fetches_leaves_nothing_that_stops_the_next(
    tasks: Tasks, git_server: Any, origin: GitRepository, wait_until: Wait, settings: Settings
) -> None:
    git_server.hold = threading.Event()
    victim = tasks.add(git_server.url(), "main")
    tasks.go()
    wait_until(git_server.holding.is_set, "the victim fetches")
    (folder,) = staged(settings)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(30)

    # Its git may still be there; another run neither waits for it nor takes its folder away.
    hold, git_server.hold = git_server.hold, None
    with checkout(git_server.url(), "main", settings=settings) as healed:
        assert (healed.path / "source.py").read_text() == "first\n"
    lock = FileLock(folder / "lock", create=False)
    assert not lock.try_acquire()
    assert (folder / "entry" / "checkout" / ".git").is_dir()

    # It ends when its server has answered, and then its folder is nobody's.
    hold.set()
    assert lock.acquire(Deadline(30))
    lock.release()
    commit = origin.commit({"source.py": "second\n"})
    with checkout(git_server.url(), commit, settings=settings):
        assert staged(settings) == []


def test_a_process_killed_while_it_uses_a_checkout_frees_it(
    tasks: Tasks, git_server: Any, origin: GitRepository, wait_until: Wait, settings: Settings
) -> None:
    victim = tasks.add(git_server.url(), "main")
    tasks.go()
    wait_until(lambda: tasks.count(".got"), "the victim has the checkout")
    entry = next((settings.cache_dir / "git-v1").glob("*/*/checkout")).parent
    lock = FileLock(entry / "use.lock")
    assert not lock.try_acquire()
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(30)

    assert lock.try_acquire()
    lock.release()


def test_when_the_process_everybody_waits_for_fails_another_one_fetches(
    tasks: Tasks, git_server: Any, wait_until: Wait, settings: Settings
) -> None:
    git_server.hold = threading.Event()
    victim = tasks.add(git_server.url(), "main")
    tasks.go()
    wait_until(git_server.holding.is_set, "the victim fetches")
    hold, git_server.hold = git_server.hold, None
    others = [tasks.add(git_server.url(), "main") for _ in range(3)]
    wait_until(tasks.are_ready, "the others are ready", 60)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(30)
    tasks.processes.remove(victim)
    hold.set()
    tasks.finish()

    assert {result["text"] for result in tasks.results()} == {"first\n"}
    assert len(others) == 3
    assert git_server.count("fetch") == 2


def test_pruning_and_checking_out_at_the_same_time_never_takes_what_is_in_use(
    start_python: Start, git_server: Any, origin: GitRepository, tmp_path: Path, settings: Settings, wait_until: Wait
) -> None:
    """With a cache of one byte every process prunes whatever it may, all the time."""
    folder = tmp_path / "signals"
    folder.mkdir()
    tasks = Tasks(start_python, folder, settings.cache_dir, max_bytes=1)
    commits = [origin.head, *(origin.commit({"source.py": f"{number}\n"}) for number in range(3))]
    for number in range(12):
        tasks.add(git_server.url(), commits[number % len(commits)])
    wait_until(tasks.are_ready, "all processes are ready", 120)
    tasks.go()
    wait_until(lambda: tasks.count(".got") == 12, "all processes have their checkout", 120)
    tasks.finish()

    texts = dict(zip(commits, ("first\n", "0\n", "1\n", "2\n"), strict=True))
    for result in tasks.results():
        assert result["text"] == texts[result["commit"]]
        assert result["files"] == ["folder", "folder/data.txt", "source.py"]
    assert staged(settings) == []


def test_threads_of_one_process_share_a_fetch_too(git_server: Any, settings: Settings) -> None:
    got: list[Checkout] = []
    threads = [
        threading.Thread(target=lambda: got.append(checkout(git_server.url(), "main", settings=settings)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(got) == 8
    assert git_server.count("fetch") == 1
    for checked_out in got:
        assert (checked_out.path / "source.py").read_text() == "first\n"
        checked_out.release()
