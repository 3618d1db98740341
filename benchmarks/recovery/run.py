"""Rows after a load was killed and tried again: this package beside plain dlt.

The same source (appended rows with child rows, and a cursor in dlt's state) loads into DuckDB. A first run loads 120
rows; a second one is killed with SIGKILL at a point, and tried again until it succeeds, at most three times:

- `dlt, same folder`: `pipeline.run` again in the working folder the dead try left;
- `dlt, lost folder`: `pipeline.run` in a new folder; dlt restores its state from the destination;
- `nilus`: this package, always in a new folder, as on another worker.

A cell has the rows that were found where 300 are right, child rows after the stroke where 600 are right. Points that
plain dlt does not have (the journal's) are left out. Prints a table and one line of JSON.

Usage: run.py [--points a,b,…] [--json-only]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
sys.path[:0] = [str(FIXTURES), str(ROOT / "benchmarks")]

import report  # noqa: E402 - lies beside the benchmarks
from kill_points import POINTS  # noqa: E402 - lies beside the tests, which kill at the same points

FIRST, SECOND, TRIES = 120, 300, 3
WAYS = ("dlt, same folder", "dlt, lost folder", "nilus")

SOURCE = """
import os

import nilus


def _die(point):
    if "NILUS_KILL_AT" in os.environ:
        from kill_points import die

        die(point)


@nilus.resource(write_disposition="append")
def items():
    state = nilus.current.resource_state()
    last, rows = state.get("last", 0), int(os.environ["ROWS"])
    for number in range(last + 1, rows + 1):
        yield {"id": number, "tags": [{"tag": f"{number}-{letter}"} for letter in "ab"]}
        if number == last + 50:
            _die("in_extract")
    state["last"] = rows


@nilus.resource(write_disposition="append")
def notes():
    _die("between_resources")
    state = nilus.current.resource_state()
    yield from ({"id": number} for number in range(state.get("last", 0) + 1, int(os.environ["ROWS"]) + 1))
    state["last"] = int(os.environ["ROWS"])


@nilus.source
def everything():
    return items, notes


class Everything(nilus.CustomSource):
    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, **kwargs):
        return everything()
"""

PLAIN = """
import sys

import kill_points

import dlt

kill_points.in_place()
kill_points.die("start")
import source

pipeline = dlt.pipeline(
    "plain", pipelines_dir=sys.argv[1], destination=dlt.destinations.duckdb(sys.argv[2]), dataset_name="raw"
)
pipeline.run(source.everything())
kill_points.die("end")
"""


def _environ(checkout: Path, rows: int, point: str | None) -> dict[str, str]:
    environ = {
        **os.environ,
        "ROWS": str(rows),
        "PYTHONPATH": os.pathsep.join((str(FIXTURES), str(checkout), str(ROOT))),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DLT_DATA_DIR": str(checkout.parent / "dlt"),
    }
    return environ | ({"NILUS_KILL_AT": point} if point else {})


def plain(scratch: Path, point: str, *, lost: bool) -> Path:
    """Run plain dlt; return the DuckDB file."""
    checkout, lake = scratch / "checkout", scratch / "lake.duckdb"
    script = checkout / "plain.py"
    script.write_text(PLAIN)
    tries: list[tuple[int, str | None]] = [(FIRST, None), (SECOND, point), *[(SECOND, None)] * TRIES]
    for number, (rows, kill_at) in enumerate(tries):
        folder = scratch / (f"working-{number}" if lost else "working")
        done = subprocess.run(
            [sys.executable, script, folder, lake],
            env=_environ(checkout, rows, kill_at),
            cwd=checkout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if kill_at and done.returncode != -signal.SIGKILL:
            raise RuntimeError(f"not killed at {point}: {done.returncode}\n{done.stderr[-2000:]}")
        if number > 1 and done.returncode == 0:
            break
    return lake


def ours(scratch: Path, point: str) -> Path:
    """Run this package as its hook does, without Airflow; return the DuckDB file."""
    from airflow_provider_nilus.child.process import ChildProcess
    from airflow_provider_nilus.state.record import Record
    from airflow_provider_nilus.state.record_session import RecordSession
    from nilus.errors import ProcessError
    from nilus.protocol.events import Adopted
    from nilus.protocol.job import Job, Place, Run, SinkSpec, SourceSpec, StartState

    class Store:
        record = Record(key="d.t")

        def read(self, key: str) -> Record:  # noqa: ARG002 - there is one
            return self.record

        def write(self, record: Record) -> None:
            self.record = record

    store, checkout, lake = Store(), scratch / "checkout", scratch / "lake.duckdb"
    tries: list[tuple[str, int, str | None]] = [
        ("a", FIRST, None),
        ("b", SECOND, point),
        *[("b", SECOND, None)] * TRIES,
    ]
    for number, (run_id, rows, kill_at) in enumerate(tries):
        turn = RecordSession(
            store,
            "d.t",
            run_id=run_id,
            run_type="scheduled",
            commit="c" * 40,
            on_rerun="replace",
            cleared=lambda _: [],
        )
        begun = turn.begin()
        work_dir = tempfile.mkdtemp(dir=scratch)
        job = Job(
            run=Run(
                state_key="d.t",
                dag_id="d",
                task_id="t",
                map_index=-1,
                run_id=run_id,
                run_type="scheduled",
                try_number=number,
                repository="",
                commit="c" * 40,
            ),
            source=SourceSpec(address="custom://Everything", table="t", max_table_nesting=1),
            sink=SinkSpec(address=f"duckdb:///{lake}", display_address="the lake", dataset="raw"),
            place=Place(checkout=str(checkout), base_dir=str(checkout), work_dir=work_dir, log_level="ERROR"),
            state=StartState(sources=begun.base.state, known_load_ids=list(begun.known), replaces=list(begun.replaces)),
        )
        child = ChildProcess(
            job,
            environ=_environ(checkout, rows, kill_at),
            logger=logging.getLogger("benchmark"),
            on_event=lambda event, turn=turn: turn.adopt(event) if isinstance(event, Adopted) else None,  # type: ignore[misc]
            answer=lambda _: {"live": []},
            extra_args=["--entry", "kill_points:run"],
        )
        try:
            loaded = child.run()
        except ProcessError:
            if kill_at is None and number == len(tries) - 1:
                raise
        else:
            turn.commit(loaded)
            if number > 1:
                break
        finally:
            shutil.rmtree(work_dir)
    return lake


def count(lake: Path) -> tuple[int, int]:
    """Return how many rows and child rows there are."""
    import duckdb

    with duckdb.connect(str(lake), read_only=True) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM raw.items").fetchall()
        ((children,),) = connection.execute("SELECT count(*) FROM raw.items__tags").fetchall()
    return rows, children


def case(way: str, point: str) -> tuple[int, int]:
    """Run one case in a folder of its own."""
    scratch = Path(tempfile.mkdtemp(prefix="nilus-benchmark-"))
    try:
        (scratch / "checkout").mkdir()
        (scratch / "checkout" / "source.py").write_text(SOURCE)
        lake = ours(scratch, point) if way == "nilus" else plain(scratch, point, lost=way == "dlt, lost folder")
        return count(lake)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> None:
    """Run all cases and print them."""
    known = [point for point in POINTS if "journal" not in point]
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", default=",".join(known))
    parser.add_argument("--json-only", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, dict[str, Any]] = {
        point: {way: case(way, point) for way in WAYS} for point in arguments.points.split(",")
    }
    if not arguments.json_only:
        lines = [
            (point, f"{SECOND}/{2 * SECOND}", *(f"{rows}/{children}" for rows, children in cells.values()))
            for point, cells in found.items()
        ]
        right = [sum(cells[way] == (SECOND, 2 * SECOND) for cells in found.values()) for way in WAYS]
        lines.append(("right", "", *(f"{number} of {len(found)}" for number in right)))
        print(report.table(("killed at", "expected", *WAYS), lines))
    print(json.dumps({"benchmark": "recovery", "expected": [SECOND, 2 * SECOND], "found": found}))


if __name__ == "__main__":
    main()
