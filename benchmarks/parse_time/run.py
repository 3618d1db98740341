"""What the operator's import costs a DAG-parsing process, as a ratio to `import airflow.sdk` itself.

Each measurement is a fresh interpreter that imports `airflow.sdk` and then the operator, so what both need is counted
once, for Airflow. Airflow asks every installed provider for its information while it imports itself; what that costs
for ours is measured before, in the same interpreter, and includes whatever Airflow would have imported anyway.
Prints a table and one line of JSON; the files' compiled forms are warm.

Usage: run.py [--runs N] [--json-only]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import report

MODULE = "airflow_provider_nilus.operators.custom_source"
PROBE = f"""
import json, resource, sys, time

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

started = time.perf_counter()
import airflow_provider_nilus
airflow_provider_nilus.get_provider_info()
after_info, modules_before, memory_before = time.perf_counter(), len(sys.modules), peak()
import airflow.sdk
airflow.sdk.DAG, airflow.sdk.BaseOperator  # lazy: a DAG file asks for both
after_sdk, modules, memory = time.perf_counter(), len(sys.modules), peak()
import {MODULE}
ended = time.perf_counter()
print(json.dumps([after_info - started, after_sdk - after_info, ended - after_sdk, modules - modules_before,
                  len(sys.modules) - modules, memory - memory_before, peak() - memory]))
"""


class Sample(NamedTuple):
    """One fresh interpreter. Seconds, numbers of modules, MB of peak memory."""

    information_seconds: float
    sdk_seconds: float
    operator_seconds: float
    sdk_modules: int
    operator_modules: int
    sdk_megabytes: float
    operator_megabytes: float


def measure(environment: dict[str, str]) -> Sample:
    """Import both in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-P", "-c", PROBE], env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(run.stderr)
    return Sample(*json.loads(run.stdout.splitlines()[-1]))


def summarise(samples: list[Sample]) -> dict[str, float | int]:
    """Medians of all samples, and the ratio: the median of each interpreter's own."""
    ratio = report.ratio([sample.operator_seconds for sample in samples], [sample.sdk_seconds for sample in samples])
    return {
        "runs": len(samples),
        **report.medians((sample._asdict() for sample in samples), digits=7),
        "ratio": round(ratio.median, 4),
        "ratio_min": round(ratio.least, 4),
        "ratio_max": round(ratio.most, 4),
    }


def table(result: dict[str, float | int]) -> str:
    """The result for people."""
    rows = []
    for name, key in (("airflow.sdk", "sdk"), (f"{MODULE}, after it", "operator")):
        seconds, modules, memory = (result[f"{key}_{unit}"] for unit in ("seconds", "modules", "megabytes"))
        rows.append((name, f"{seconds:.3f}", f"{modules:.0f}", f"{memory:.1f}"))
    rows.append(("the provider information, before it", f"{result['information_seconds']:.3f}", "", ""))
    shown = report.table(("import", "seconds", "modules", "MB"), rows)
    return f"{shown}\nratio {result['ratio']:.3f} ({result['ratio_min']:.3f} to {result['ratio_max']:.3f})"


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="fresh interpreters (default: 7)")
    parser.add_argument("--json-only", action="store_true", help="print no table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nilus-bench-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        environment |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        measure(environment)  # compiles, and writes Airflow's configuration file
        samples = [measure(environment) for _ in range(arguments.runs)]
    result = summarise(samples)
    if not arguments.json_only:
        print(table(result))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
