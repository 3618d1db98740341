"""What a whole task costs for a source of 3 rows into DuckDB, beside the same source in a dlt script run by hand.

- `script`: `python script.py` as a process of its own, with dlt alone (Airflow hidden from it);
- `script beside Airflow`: the same where Airflow is installed, which dlt imports then;
- `task`: the hook, in a process that has imported Airflow and the operator, as Airflow's have. The checkout is in the
  cache and asked for by branch, the repository is a folder of this machine, the source has no requirements, the record
  of its state is kept in memory.

The parts of the task: `checkout`, `environment` and `state` are the parent's; `source` to `load` the child tells
itself; `start` is Python's own start and `imports` those of the child's modules, both measured in processes of their
own; `rest` is what remains of the child's time, its end included; `parent` what remains of the task's. All are new
processes, and take turns. Seconds are medians. Prints tables and one line of JSON.

Usage: run.py [--runs N] [--json-only]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import report

RESOURCE = """
@{name}.resource(write_disposition="append")
def items():
    for number in range(3):
        yield {{"id": number, "name": f"item {{number}}", "price": number * 0.5}}
"""
SOURCE = f"""
import nilus
from nilus import CustomSource

{RESOURCE.format(name="nilus")}

class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return items
"""
SCRIPT = f"""
import sys

if "alone" in sys.argv:
    sys.modules["airflow"] = None

import dlt

{RESOURCE.format(name="dlt")}

pipeline = dlt.pipeline(
    "by_hand", pipelines_dir=sys.argv[1], destination=dlt.destinations.duckdb(sys.argv[2]), dataset_name="raw"
)
pipeline.run(items())
"""
IMPORTS = """
import time

started = time.perf_counter()
import nilus.runtime.__main__, nilus.runtime.pipeline
print(time.perf_counter() - started)
"""
STEPS = ("source", "settle", "extract", "normalize", "load")
IN_PARENT = ("checkout", "environment", "state", "child")


def task(folder: Path, sink: Path) -> dict[str, float]:
    """Run one task in this process; return the seconds of its parts."""
    import airflow.sdk

    from airflow_provider_nilus.hooks.custom_source import NilusHook, TaskRun
    from airflow_provider_nilus.state.record import Record
    from nilus.workflow.models import Workflow

    # Both are lazy, and imported by every DAG file.
    importlib.import_module("airflow_provider_nilus.operators.custom_source")
    getattr(airflow.sdk, "DAG")  # noqa: B009
    spent: dict[str, float] = dict.fromkeys(IN_PARENT, 0.0)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[part] += time.perf_counter() - started

        return call

    class Store:
        record = Record(key="bench")

        def read(self, key: str) -> Record:  # noqa: ARG002 - there is one
            return self.record

        def write(self, record: Record) -> None:
            self.record = record

    store: Any = Store()
    store.read, store.write = timed("state", store.read), timed("state", store.write)
    hook: Any = NilusHook(state=store)
    hook.materialise = timed("checkout", hook.materialise)
    hook.prepare = timed("environment", hook.prepare)
    hook._run_child = timed("child", hook._run_child)
    document = {
        "repo": {"url": f"file://{folder}/sources.git", "syncFlags": ["--ref=main"], "baseDir": "."},
        "source": {"address": "custom://Shop", "options": {"source-table": "items"}},
        "sink": {
            "address": f"duckdb:///{sink}",
            "options": {"dest-table": "raw", "incremental-strategy": "append"},
        },
    }
    started = time.perf_counter()
    result = hook.run(Workflow.parse(document), TaskRun(state_key="bench"))
    whole = time.perf_counter() - started
    if result["rows"] != {"items": 3}:
        raise SystemExit(f"expected 3 rows, found {result['rows']}")
    steps = {step: float(result["seconds"].get(step, 0.0)) for step in STEPS}
    return {"task": whole, **spent, **steps}


def seconds_of(*arguments: str, environ: dict[str, str], cwd: Path) -> float:
    """Run Python; return how long it takes."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", *arguments], env=environ, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started


def make_repository(folder: Path) -> None:
    """Make a repository with the source in it."""
    (folder / "sources").mkdir()
    (folder / "sources" / "shop.py").write_text(SOURCE)
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=a", "-c", "user.email=a@example.test")
    for command in (("init", "--quiet", "--initial-branch=main"), ("add", "."), (*who, "commit", "--quiet", "-m", "x")):
        subprocess.run(["git", *command], cwd=folder / "sources", env=environ, check=True)
    bare = ["git", "clone", "--quiet", "--bare", "sources", "sources.git"]
    subprocess.run(bare, cwd=folder, env=environ, check=True)


def sample(folder: Path, number: int, environ: dict[str, str]) -> dict[str, float]:
    """Measure everything once."""
    place = folder / str(number)
    place.mkdir()
    found: dict[str, float] = {}
    for name, alone in (("script", ["alone"]), ("script beside Airflow", [])):
        arguments = (str(folder / "script.py"), str(place / name), str(place / f"{name.split()[-1]}.duckdb"), *alone)
        found[name] = seconds_of(*arguments, environ=environ, cwd=place)
    found["start"] = seconds_of("-c", "pass", environ=environ, cwd=place)
    # The end of a process that has imported much takes its time too, and the child does not wait for it.
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORTS], env=environ, cwd=place, capture_output=True, text=True, check=True
    )
    found["imports"] = float(done.stdout)
    command = [sys.executable, "-P", __file__, "--one", str(folder), str(place / "task.duckdb")]
    done = subprocess.run(command, env=environ, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found |= json.loads(done.stdout.splitlines()[-1])
    known = found["start"] + found["imports"] + sum(found[step] for step in STEPS)
    found["rest"] = found["child"] - known
    found["parent"] = found["task"] - sum(found[part] for part in IN_PARENT)
    found["more than the script"] = found["task"] - found["script"]
    return found


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="(default: 5)")
    parser.add_argument("--json-only", action="store_true", help="print no table")
    parser.add_argument("--one", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(task(*arguments.one)))
        return
    before = report.machine()
    with tempfile.TemporaryDirectory(prefix="nilus-bench-") as name:
        folder = Path(name)
        make_repository(folder)
        (folder / "script.py").write_text(SCRIPT)
        environ = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")}
        environ |= {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__NILUS__CACHE_DIR": str(folder / "cache"),
            "AIRFLOW__NILUS__ALLOWED_PROTOCOLS": "file",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "HOME": name,
        }
        sample(folder, -1, environ)  # fills the caches
        samples = [sample(folder, number, environ) for number in range(arguments.runs)]
        subprocess.run(["chmod", "-R", "u+w", name], check=True)
    spread = {key: report.Measured.of(found[key] for found in samples) for key in samples[0]}
    if not arguments.json_only:
        whole = ("script", "script beside Airflow", "task", "more than the script")
        print(report.table(("whole", "seconds"), [(key, spread[key].text()) for key in whole]))
        parts = ("checkout", "environment", "state", "start", "imports", *STEPS, "rest", "parent")
        print(report.table(("part of the task", "seconds"), [(key, spread[key].text(3)) for key in parts]))
    result = {"benchmark": "overhead", "runs": arguments.runs, "before": before, "after": report.machine()}
    print(json.dumps({**result, "seconds": report.medians(samples)}))


if __name__ == "__main__":
    main()
