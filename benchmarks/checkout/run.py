"""What it costs a task to get its repository's files, beside what other ways cost.

Compared, over HTTP from a server on this machine, for one task and for many that start at once:

- `nilus`: this package, by branch (one question to the server, then the cache) and by hash (the cache alone);
- `clone`: a plain `git clone` for each task; `shallow`: the same with `--depth 1`;
- `git-sync`: what git-sync does in a folder of each task's own: a shallow fetch and a worktree, later the fetch alone.

Cold is with nothing there; warm is the same again. A clone is always cold. Every task is a process forked from a
Python that is running, as Airflow's are; where this package needs GitPython, its import (about 0.1 s) is on the clock,
which runs until the last task has its files. Server and tasks share the machine: `--latency` puts some distance
between them. Seconds are medians; ratios are to `nilus` of the same kind and number. Prints a table and one line of
JSON.

Usage: run.py [--tasks N] [--runs N] [--latency MS] [--json-only]
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random
from typing import Any

from nilus.repository import Settings, checkout

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import report

COMMITS, FILES, CHANGED = 150, 200, 20
ENVIRON = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


def make_repository(path: Path) -> str:
    """Make a repository with a history; return its head. The same at every run."""
    random = Random(1)  # noqa: S311
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path], env=ENVIRON, check=True)
    stream: list[bytes] = []
    for commit in range(COMMITS):
        who = f"A <a@example.test> {1_700_000_000 + commit} +0000"
        stream.append(f"commit refs/heads/main\ncommitter {who}\ndata 6\nchange\n".encode())
        for number in range(FILES) if commit == 0 else random.sample(range(FILES), CHANGED):
            lines = (f"value_{line} = {random.getrandbits(64):x}\n" for line in range(random.randrange(50, 400)))
            content = "".join(lines).encode()
            head = f"M 100644 inline package_{number % 10}/module_{number}.py\ndata {len(content)}\n"
            stream.append(head.encode() + content + b"\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, env=ENVIRON, input=b"".join(stream), check=True)
    subprocess.run(["git", "repack", "-a", "-d", "-q"], cwd=path, env=ENVIRON, check=True)
    shown = subprocess.run(["git", "rev-parse", "main"], cwd=path, env=ENVIRON, check=True, capture_output=True)
    return shown.stdout.decode().strip()


@dataclass
class Traffic:
    """What the server was asked for, and how many bytes it sent."""

    requests: Synchronized[int]
    sent: Synchronized[int]

    def taken(self) -> tuple[int, int]:
        """Return both, and start again from 0."""
        values = self.requests.value, self.sent.value
        self.requests.value = self.sent.value = 0
        return values


class Handler(BaseHTTPRequestHandler):
    """`git http-backend`, with a delay before each answer."""

    protocol_version = "HTTP/1.1"
    repository: Path
    latency: float
    traffic: Traffic

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer."""
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _answer(self, body: bytes) -> None:
        time.sleep(self.latency)
        path, _, query = self.path.partition("?")
        environ = {
            **ENVIRON,
            "GIT_PROJECT_ROOT": str(self.repository),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.removeprefix("/sources.git"),
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        with suppress(ConnectionError):
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        with self.traffic.requests.get_lock():
            self.traffic.requests.value += 1
            self.traffic.sent.value += len(content)


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    daemon_threads = True
    request_queue_size = 256


def git(folder: Path, *arguments: str) -> None:
    """Run git."""
    subprocess.run(["git", *arguments], cwd=folder, env=ENVIRON, check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Place:
    """Where one task works, and on what."""

    url: str
    commit: str
    cache: Path
    folder: Path


def by_branch(place: Place) -> None:
    """This package; the server says which commit it is."""
    _nilus(place, "main")


def by_hash(place: Place) -> None:
    """This package; the task says which commit it is."""
    _nilus(place, place.commit)


def _nilus(place: Place, ref: str) -> None:
    settings = Settings(cache_dir=place.cache, cache_max_bytes=10**10, allowed_protocols=("http",))
    with checkout(place.url, ref, settings=settings) as files:
        if files.commit != place.commit:
            raise SystemExit(f"expected {place.commit}, found {files.commit}")


def clone(place: Place) -> None:
    """All of the history."""
    shutil.rmtree(place.folder / "clone", ignore_errors=True)
    git(place.folder, "clone", "--quiet", place.url, "clone")


def shallow(place: Place) -> None:
    """One commit."""
    shutil.rmtree(place.folder / "clone", ignore_errors=True)
    git(place.folder, "clone", "--quiet", "--depth=1", place.url, "clone")


def git_sync(place: Place) -> None:
    """What git-sync runs, the first time and later."""
    root = place.folder / "root"
    if not root.exists():
        root.mkdir()
        git(root, "init", "--quiet")
    git(root, "fetch", place.url, "main", "--quiet", "--no-progress", "--prune", "--no-auto-gc", "--depth=1")
    git(root, "rev-parse", "FETCH_HEAD^{}")
    worktree = root / ".worktrees" / place.commit
    if not worktree.exists():
        git(root, "worktree", "add", "--quiet", "--force", "--detach", str(worktree), "FETCH_HEAD", "--no-checkout")
        git(worktree, "reset", "--quiet", "--hard", place.commit, "--")


WAYS: dict[str, Callable[[Place], None]] = {
    "nilus by branch": by_branch,
    "nilus by hash": by_hash,
    "clone": clone,
    "shallow": shallow,
    "git-sync": git_sync,
}
WITHOUT_WARM = ("clone", "shallow")


def seconds_of(way: Callable[[Place], None], places: list[Place]) -> float:
    """Start one task for each place; return how long it takes until all of them have their files."""
    go, ready = multiprocessing.Event(), multiprocessing.Semaphore(0)
    tasks = []
    for place in places:
        task = os.fork()
        if task == 0:
            _task(way, place, go, ready)
        tasks.append(task)
    for _ in tasks:
        ready.acquire()
    started = time.perf_counter()
    go.set()
    statuses = [os.waitpid(task, 0)[1] for task in tasks]
    seconds = time.perf_counter() - started
    if any(statuses):
        raise SystemExit(f"{sum(map(bool, statuses))} of {len(statuses)} tasks failed")
    return seconds


def _task(way: Callable[[Place], None], place: Place, go: Any, ready: Any) -> None:
    status = 1
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        ready.release()
        go.wait()
        way(place)
        status = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(status)


def measure(root: Path, url: str, commit: str, counts: list[int], runs: int, traffic: Traffic) -> list[dict[str, Any]]:
    """Measure every way, cold and warm, for each number of tasks."""
    results = []
    for tasks in counts:
        for name, way in WAYS.items():
            cold: list[float] = []
            warm: list[float] = []
            asked: dict[str, tuple[int, int]] = {}
            for _ in range(runs if tasks == 1 else max(1, runs // 3)):
                folder = Path(tempfile.mkdtemp(dir=root))
                places = [Place(url, commit, folder / "cache", folder / str(number)) for number in range(tasks)]
                traffic.taken()
                cold.append(seconds_of(way, places))
                asked["cold"] = traffic.taken()
                if name not in WITHOUT_WARM:
                    warm.append(seconds_of(way, places))
                    asked["warm"] = traffic.taken()
                subprocess.run(["chmod", "-R", "u+w", folder], check=True)
                shutil.rmtree(folder)
            for kind, samples in (("cold", cold), ("warm", warm or cold)):
                requests, sent = asked.get(kind, asked["cold"])
                results.append(
                    {
                        "way": name,
                        "tasks": tasks,
                        "kind": kind,
                        "seconds": round(report.Measured.of(samples).median, 4),
                        "requests": requests,
                        "megabytes": round(sent / 1e6, 3),
                    }
                )
    return results


def ratios(results: list[dict[str, Any]]) -> dict[str, float]:
    """Others' seconds over ours, of the same kind and number of tasks."""
    seconds = {(r["way"], r["tasks"], r["kind"]): r["seconds"] for r in results}
    return {
        f"{way} / {ours}, {kind}, {tasks}": round(value / seconds[ours, tasks, kind], 2)
        for (way, tasks, kind), value in seconds.items()
        if not way.startswith("nilus")
        for ours in ("nilus by branch", "nilus by hash")
    }


def table(results: list[dict[str, Any]], found: dict[str, float]) -> str:
    """The results for people."""
    rows = []
    for result in results:
        key = f"{result['kind']}, {result['tasks']}"
        compared = [found.get(f"{result['way']} / nilus by {what}, {key}") for what in ("branch", "hash")]
        rows.append(
            (
                f"{result['way']}, {result['kind']}",
                str(result["tasks"]),
                f"{result['seconds']:.3f}",
                str(result["requests"]),
                f"{result['megabytes']:.2f}",
                *("" if value is None else f"{value:.2f}" for value in compared),
            )
        )
    return report.table(("way", "tasks", "seconds", "requests", "MB sent", "/ by branch", "/ by hash"), rows)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=50, help="tasks that start at once, beside one (default: 50)")
    parser.add_argument("--runs", type=int, default=5, help="runs with one task; a third with many (default: 5)")
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds before each answer (default: 0)")
    parser.add_argument("--json-only", action="store_true", help="print no table")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
    context = multiprocessing.get_context("fork")
    traffic = Traffic(context.Value("q", 0), context.Value("q", 0))
    with tempfile.TemporaryDirectory(prefix="nilus-bench-") as folder:
        root = Path(folder)
        commit = make_repository(root / "sources.git")
        attributes = {"repository": root / "sources.git", "latency": arguments.latency / 1000, "traffic": traffic}
        with Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), attributes)) as server:
            serving = context.Process(target=server.serve_forever, daemon=True)
            serving.start()
            url = f"http://127.0.0.1:{server.server_address[1]}/sources.git"
            counts = [1, arguments.tasks] if arguments.tasks > 1 else [1]
            seconds_of(by_branch, [Place(url, commit, root / "warm-up", root / "warm-up-task")])
            results = measure(root, url, commit, counts, arguments.runs, traffic)
            serving.terminate()
            serving.join()
    found = ratios(results)
    if not arguments.json_only:
        print(table(results, found))
    print(json.dumps({"results": results, "ratios": found}))


if __name__ == "__main__":
    main()
