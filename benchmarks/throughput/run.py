"""Rows a second into DuckDB, row by row: this package, plain dlt with its best settings, and the floor.

The floor is a loop that collects the same rows with `pyarrow.Table.from_pylist`, 50,000 at a time, nested values by
`orjson`, and inserts the tables into DuckDB, and nothing else. Plain dlt is given parquet files without compression
between its steps. Ours is a whole run, what earlier runs left looked for and the journal written included. Each
measurement is a process of its own, in turns; imports are not counted. Prints a table and one line of JSON.

Usage: run.py [--rows N] [--runs N] [--shapes simple,rich] [--ways ours,dlt,floor]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

SOURCE = """
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import nilus
from nilus import CustomSource

START = datetime(2024, 1, 1, tzinfo=UTC)
PADDING = "x" * 10_000


def simple(rows):
    for i in range(rows):
        yield {
            "id": i,
            "amount": i * 7,
            "price": i * 0.5,
            "paid": i % 2 == 0,
            "name": f"name {i}",
            "country": "constant text",
            "city": f"city {i % 100}",
            "created_at": START + timedelta(seconds=i),
        }


def rich(rows):
    for i in range(rows):
        yield {
            "id": i,
            "price": i * 0.25,
            "name": f"name {i}",
            "paid": i % 3 == 0,
            "created_at": f"2024-01-{i % 28 + 1:02d}T10:{i % 60:02d}:00.123Z",
            "total": Decimal(i) / 100,
            "details": {"number": i, "tags": ["x", "y"], "more": {"note": None}},
            "seldom": i if i % 9 == 0 else None,
        }


def wide(rows):
    for i in range(rows):
        yield {f"column_{number}": i * number for number in range(200)}


def long(rows):
    for i in range(rows):
        yield {"id": i, "text": f"{i:09d}{PADDING}"}


def mixed(rows):
    for i in range(rows):
        yield {"id": i, "value": i if i % 2 else f"text {i}", "price": i * 0.5, "name": f"name {i}"}


SHAPES = {"simple": simple, "rich": rich, "wide": wide, "long": long, "mixed": mixed}


class Shop(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        options = parse_qs(urlsplit(uri).query)
        rows = SHAPES[options["shape"][0]]
        return nilus.resource(rows(int(options["rows"][0])), name="items", write_disposition="append")
"""
MEASURED = ("seconds", "cpu_seconds", "peak_mb")


def _shapes(folder: Path) -> ModuleType:
    file = folder / "shop.py"
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("shapes", file)
    if spec is None or spec.loader is None:
        raise ImportError(str(file))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(shape: str, rows: int, folder: Path) -> Callable[[], None]:
    """Return a run of this package."""
    from nilus.runtime.job import Job, Run, SinkSpec, SourceSpec
    from nilus.runtime.pipeline import run

    (folder / "checkout").mkdir()
    (folder / "checkout" / "shop.py").write_text(SOURCE)
    (folder / "work").mkdir()
    sink = f"duckdb:///{folder}/sink.duckdb"
    job = Job(
        run=Run(
            state_key="bench", dag_id="bench", task_id="load", map_index=-1, run_id="manual__1", run_type="manual",
            try_number=1, repository="https://example.org/sources", commit="c0ffee" + "0" * 34,
        ),
        source=SourceSpec(address=f"custom://Shop?shape={shape}&rows={rows}", table="items"),
        sink=SinkSpec(address=sink, display_address=sink, dataset="raw", strategy="append"),
        checkout=str(folder / "checkout"),
        base_dir=str(folder / "checkout"),
        work_dir=str(folder / "work"),
    )  # fmt: skip

    class Silent:
        def send(self, event: Any) -> None:
            pass

    return lambda: run(job, Silent())  # type: ignore[arg-type, return-value]


def dlt(shape: str, rows: int, folder: Path) -> Callable[[], None]:
    """Return a run of plain dlt with the best settings for a source that yields rows one by one."""
    import dlt as plain

    shapes = _shapes(folder)
    plain.config["runtime.dlthub_telemetry"] = False
    plain.config["data_writer.disable_compression"] = True
    plain.config["data_writer.buffer_max_items"] = 50_000
    pipeline = plain.pipeline(
        "bench",
        pipelines_dir=str(folder / "pipelines"),
        destination=plain.destinations.duckdb(str(folder / "sink.duckdb")),
        dataset_name="raw",
    )
    items = plain.resource(shapes.SHAPES[shape](rows), name="items", max_table_nesting=0)
    return lambda: pipeline.run(items, loader_file_format="parquet")  # type: ignore[return-value]


def floor(shape: str, rows: int, folder: Path) -> Callable[[], None]:
    """Return the loop that does no more than it must."""
    import duckdb
    import orjson
    import pyarrow as pa

    generate = _shapes(folder).SHAPES[shape]
    decimal = pa.decimal128(38, 9)

    def tables() -> Iterator[pa.Table]:
        rows_left = generate(rows)
        while collected := list(islice(rows_left, 50_000)):
            if "details" in collected[0]:
                for row in collected:
                    row["details"] = orjson.dumps(row["details"]).decode()
            made = pa.Table.from_pylist(collected)
            index = made.schema.get_field_index("total")
            yield made if index < 0 else made.set_column(index, "total", made.column(index).cast(decimal))

    def insert() -> None:
        with duckdb.connect(str(folder / "sink.duckdb")) as connection:
            for number, made in enumerate(tables()):
                connection.register("made", made)
                connection.execute("INSERT INTO items FROM made" if number else "CREATE TABLE items AS FROM made")

    return insert


WAYS = {"ours": ours, "dlt": dlt, "floor": floor}


def measure(way: str, shape: str, rows: int) -> None:
    """Run one way in this process, and print what it took."""
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        folder = Path(name)
        go = WAYS[way](shape, rows, folder)
        started, cpu = time.perf_counter(), time.process_time()
        go()
        took = [time.perf_counter() - started, time.process_time() - cpu]
        import duckdb

        table = "items" if way == "floor" else "raw.items"
        with duckdb.connect(str(folder / "sink.duckdb")) as connection:
            ((found,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608
    if found != rows:
        raise SystemExit(f"expected {rows} rows, found {found}")
    print(json.dumps([*took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def _show(shape: str, rows: int, medians: dict[str, dict[str, float]]) -> None:
    for way, median in medians.items():
        line = f"{shape:8} {way:6} {median['seconds']:7.2f} s {median['cpu_seconds']:7.2f} s cpu "
        line += f"{rows / median['seconds']:10,.0f} rows/s {median['peak_mb']:6.0f} MB"
        for name, other in medians.items():
            if name != way:
                ratios = [median[what] / other[what] for what in ("seconds", "cpu_seconds")]
                line += f"   {ratios[0]:.2f} of {name} ({ratios[1]:.2f} cpu)"
        print(line)


def main() -> None:
    """Measure all ways in turns, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", default="simple,rich")
    parser.add_argument("--ways", default="ours,dlt,floor")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "SHAPE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(*arguments.one, arguments.rows)
        return
    ways = arguments.ways.split(",")
    report: dict[str, Any] = {"rows": arguments.rows, "runs": arguments.runs}
    for shape in arguments.shapes.split(","):
        found: dict[str, list[list[float]]] = {way: [] for way in ways}
        for _ in range(arguments.runs):
            for way in ways:
                command = [sys.executable, __file__, "--one", way, shape, "--rows", str(arguments.rows)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[way].append(json.loads(done.stdout.splitlines()[-1]))
        medians = {
            way: dict(zip(MEASURED, map(statistics.median, zip(*measured, strict=True)), strict=True))
            for way, measured in found.items()
        }
        report[shape] = {"medians": medians, "all": found}
        _show(shape, arguments.rows, medians)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
