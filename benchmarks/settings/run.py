"""What dlt's settings are worth: the same load with each of them changed, one at a time.

A run of this package as it is, and runs that differ from it in one thing. Seconds and peak memory are medians, ratios
are to the run as it is, turn by turn. Each run is a process of its own; imports are not counted. Prints a table for
each sink and way of taking rows, and one line of JSON.

Usage: run.py [--rows N] [--runs N] [--sinks a,…] [--shape NAME] [--settings a;…]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("benchmarks", "benchmarks/throughput")]

import report  # noqa: E402 - lies beside the benchmarks
from ways import Case, Silent, count, job  # noqa: E402

AS_IT_IS = "as it is"
CORES = report.machine()["cores"]
SETTINGS: dict[str, dict[str, Any]] = {
    AS_IT_IS: {},
    "one load worker": {"config": {"load": {"workers": 1}}},
    "a load worker for each core": {"config": {"load": {"workers": CORES}}},
    "files between steps compressed": {"config": {"data_writer": {"disable_compression": False}}},
    "page-size 5,000": {"source": {"page_size": 5_000}},
    "loader-file-size 100,000": {"sink": {"loader_file_size": 100_000}},
    "loader-file-size 1,000,000": {"sink": {"loader_file_size": 1_000_000}},
    "load files as those that are kept": {"kept": True},
    "load files as those that are not": {"kept": False},
    "load files: jsonl": {"sink": {"loader_file_format": "jsonl"}},
}


def measure(name: str, batching: str, case: Case) -> None:
    """Run with one setting in this process, and print what it took."""
    from nilus.runtime import pipeline, sinks

    changed = SETTINGS[name]
    made = job(case)
    if "kept" in changed:
        sink: Any = type(sinks.sink(made.sink, find=lambda _: None))  # type: ignore[arg-type,return-value]
        sink.keeps_files = changed["kept"]
    made = replace(
        made,
        options=replace(made.options, batching=batching),
        source=replace(made.source, **changed.get("source", {})),
        sink=replace(made.sink, **changed.get("sink", {})),
    )
    settled = pipeline.config_values

    def config_values(*arguments: Any) -> dict[str, Any]:
        values = settled(*arguments)
        for section, options in changed.get("config", {}).items():
            values[section] = {**values.get(section, {}), **options}
        return values

    pipeline.config_values = config_values
    started, cpu = time.perf_counter(), time.process_time()
    pipeline.run(made, Silent())  # type: ignore[arg-type]
    took = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    if case.sink == "duckdb" and count(case) != case.rows:
        raise SystemExit(f"{name}: expected {case.rows} rows, found {count(case)}")
    print(json.dumps({**took, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="a tenth where rows go one by one (default: 200000)")
    parser.add_argument("--runs", type=int, default=3, help="turns (default: 3)")
    parser.add_argument("--sinks", default="duckdb,parquet", help="of duckdb, parquet, iceberg")
    parser.add_argument("--shape", default="simple")
    parser.add_argument("--settings", default=";".join(SETTINGS), help="(default: all)")
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, batching, sink, shape, rows, folder = arguments.one
        measure(name, batching, Case(shape, int(rows), sink, Path(folder), ""))
        return
    before, results = report.machine(), {}
    for sink in arguments.sinks.split(","):
        for batching, rows in (("auto", arguments.rows), ("off", arguments.rows // 10)):
            found: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.settings.split(";")}
            for _ in range(arguments.runs):
                for name, samples in found.items():
                    with tempfile.TemporaryDirectory(prefix="settings-") as folder:
                        command = [sys.executable, "-P", __file__, "--one", name, batching, sink, arguments.shape]
                        command += [str(rows), folder]
                        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
                    if done.returncode:
                        raise SystemExit(done.stderr)
                    samples.append(json.loads(done.stdout.splitlines()[-1]))
            base = [sample["cpu_seconds"] for sample in found[AS_IT_IS]]
            walls = [sample["seconds"] for sample in found[AS_IT_IS]]
            shown = []
            for name, samples in found.items():
                times = report.ratio([sample["seconds"] for sample in samples], walls)
                cpu = report.ratio([sample["cpu_seconds"] for sample in samples], base)
                middle = report.medians(samples)
                shown.append((name, f"{middle['seconds']:.2f}", times.text(), cpu.text(), f"{middle['peak_mb']:.0f}"))
                results[f"{sink}, {batching}, {rows}, {name}"] = {**middle, "ratio": times, "cpu_ratio": cpu}
            head = (f"{sink}, batching {batching}, {rows:,} rows", "seconds", "ratio", "cpu ratio", "peak MB")
            print(report.table(head, shown), flush=True)
    print(json.dumps({"benchmark": "settings", "before": before, "after": report.machine(), "results": results}))


if __name__ == "__main__":
    main()
