"""Rows a second from a source that yields them one by one, and peak memory: this package and plain dlt.

- `ours`: a whole run of this package, what earlier runs left looked for and the journal written included;
- `dlt, best`: plain dlt with parquet (PostgreSQL: CSV) as its load files, 50,000 rows at a time, nothing compressed;
- `dlt, as it comes`: plain dlt. On DuckDB it takes minutes for a million rows: it gets `--plain-rows` rows, once, and
  the rows a second are compared;
- `floor`: a loop that makes Arrow tables of 50,000 rows, nested values by `orjson`, and inserts them into DuckDB.

Each measurement is a process of its own, the ways take turns, imports are not counted. PostgreSQL runs on this machine
for as long as the benchmark does. Prints a table with medians and spread and one line of JSON; a chart on demand.

Usage: run.py [--rows N,…] [--runs N] [--plain-rows N] [--shapes a,…] [--sinks a,…] [--ways a;…] [--chart FILE.svg]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("benchmarks", "benchmarks/throughput", "tests/fixtures")]

import report  # noqa: E402 - lies beside the benchmarks
from ways import WAYS, Case, can, count  # noqa: E402

SHAPES = ("simple", "rich", "wide", "long", "deep", "mixed", "lists", "frames", "arrow")
"""The last three are simple rows that come in lists, DataFrames and Arrow tables."""
SINKS = ("duckdb", "postgres", "parquet", "iceberg")
PLAIN = "dlt, as it comes"
SHARE = {"wide": 0.05, "long": 0.05, "deep": 0.25}
"""Of these shapes a row is so large that there are fewer of them."""


def measure(way: str, case: Case) -> None:
    """Run one way in this process, and print what it took."""
    go = WAYS[way](case)
    started, cpu = time.perf_counter(), time.process_time()
    go()
    took = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    took["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = count(case)
    if found != case.rows:
        raise SystemExit(f"{way}, {case.shape}, {case.sink}: expected {case.rows} rows, found {found}")
    print(json.dumps(took))


def measured(way: str, shape: str, sink: str, rows: int, server: Any) -> dict[str, Any]:
    """Run one way in a process of its own; return what it took."""
    database = server.create_database() if sink == "postgres" else ""
    try:
        with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
            command = [sys.executable, "-P", __file__, "--one", way, shape, sink, str(rows), folder, database]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    finally:
        if database:
            server.drop_database(database)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {"way": way, "rows": rows, **json.loads(done.stdout.splitlines()[-1])}


def compare(shape: str, sink: str, rows: int, arguments: argparse.Namespace, server: Any) -> list[dict[str, Any]]:
    """Measure all ways in turns."""
    ways = [way for way in arguments.ways.split(";") if can(way, shape, sink)]
    samples = []
    for turn in range(arguments.runs):
        for way in ways:
            if way != PLAIN:
                samples.append(measured(way, shape, sink, rows, server))
            elif turn == 0:
                samples.append(measured(way, shape, sink, min(rows, arguments.plain_rows), server))
    return samples


def summarise(samples: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each way what was measured, and how many times ours is as fast."""
    rates: dict[str, list[float]] = {}
    cpu_rates: dict[str, list[float]] = {}
    for sample in samples:
        rates.setdefault(sample["way"], []).append(sample["rows"] / sample["seconds"])
        cpu_rates.setdefault(sample["way"], []).append(sample["rows"] / sample["cpu_seconds"])
    found = {}
    for way, rate in rates.items():
        of_way = [sample for sample in samples if sample["way"] == way]
        found[way] = {
            "rows": of_way[0]["rows"],
            "runs": len(of_way),
            "rows_per_second": report.Measured.of(rate),
            "cpu_seconds": report.Measured.of(sample["cpu_seconds"] for sample in of_way),
            "peak_mb": report.Measured.of(sample["peak_mb"] for sample in of_way),
        }
        if "ours" in rates and way != "ours":
            found[way]["ours_is_faster_by"] = report.ratio(rates["ours"][: len(rate)], rate)
            found[way]["by_processor_time"] = report.ratio(cpu_rates["ours"][: len(rate)], cpu_rates[way])
    return found


HEAD = ("shape, sink, way", "rows", "rows a second", "ours is faster by", "by cpu time", "cpu s", "peak MB")


def lines(shape: str, sink: str, found: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the table's lines of one comparison."""
    return [
        (
            f"{shape}, {sink}, {way}",
            f"{values['rows']:,}",
            values["rows_per_second"].text(0),
            *(values[name].text() if name in values else "" for name in ("ours_is_faster_by", "by_processor_time")),
            f"{values['cpu_seconds'].median:.1f}",
            f"{values['peak_mb'].median:.0f}",
        )
        for way, values in found.items()
    ]


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000", help="several to see the growth (default: 1000000)")
    parser.add_argument("--runs", type=int, default=5, help="turns (default: 5)")
    parser.add_argument("--plain-rows", type=int, default=100_000, help=f"of `{PLAIN}` (default: 100000)")
    parser.add_argument("--shapes", default="simple,rich", help=f"of {','.join(SHAPES)} (default: simple,rich)")
    parser.add_argument("--sinks", default=",".join(SINKS), help="(default: all)")
    parser.add_argument("--ways", default=";".join(WAYS), help="(default: all)")
    parser.add_argument("--chart", type=Path, help="an SVG image of the rows a second, to be written")
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, shape, sink, rows, folder, database = arguments.one
        measure(way, Case(shape, int(rows), sink, Path(folder), database))
        return
    sinks = arguments.sinks.split(",")
    before = report.machine()
    results: dict[str, Any] = {}
    shown: list[tuple[str, ...]] = []
    with ExitStack() as held:
        server = None
        if "postgres" in sinks:
            from postgres_fixture import serving

            server = held.enter_context(serving())
        for sink in sinks:
            for shape in arguments.shapes.split(","):
                for number in map(int, arguments.rows.split(",")):
                    rows = max(1, int(number * SHARE.get(shape, 1)))
                    found = summarise(compare(shape, sink, rows, arguments, server))
                    results[f"{shape}, {sink}, {rows}"] = found
                    shown += lines(shape, sink, found)
                    print(f"measured: {shape}, {sink}, {rows:,} rows", file=sys.stderr, flush=True)
    print(report.table(HEAD, shown))
    if arguments.chart:
        groups = {
            case: {way: values["rows_per_second"].median for way, values in found.items()}
            for case, found in results.items()
        }
        note = f"medians of {arguments.runs}, {before['cores']} cores; {PLAIN}: at most {arguments.plain_rows:,} rows"
        report.bar_chart(arguments.chart, "Rows a second, yielded one by one", note, groups, unit="rows/s")
    print(json.dumps({"benchmark": "throughput", "before": before, "after": report.machine(), "results": results}))


if __name__ == "__main__":
    main()
