"""What parsing a DAG costs: Airflow imports the operator's module in every parsing process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ["dlt", "git", "duckdb", "pyarrow", "pandas"]

PROBE = """
import json, sys
import airflow.sdk
before = set(sys.modules)
import airflow_provider_nilus.operators.custom_source
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def _added(probe: str) -> set[str]:
    run = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_the_operators_module_imports_nothing_heavy() -> None:
    added = _added(PROBE)
    assert "airflow_provider_nilus" in added
    assert added.isdisjoint(HEAVY), f"the operator's module imports {sorted(added & set(HEAVY))}"


def test_the_provider_information_imports_nothing_but_our_own() -> None:
    added = _added(
        "import json, sys\nbefore = set(sys.modules)\nimport airflow_provider_nilus\n"
        "airflow_provider_nilus.get_provider_info()\n"
        "print(json.dumps(sorted({n.partition('.')[0] for n in set(sys.modules) - before})))"
    )
    assert added - set(sys.stdlib_module_names) <= {"airflow_provider_nilus", "nilus"}


def test_nilus_is_imported_without_airflow_and_without_anything_heavy() -> None:
    added = _added(
        "import json, sys\nimport nilus, nilus.errors\n"
        "print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    )
    assert added.isdisjoint([*HEAVY, "airflow"])


def test_the_benchmark_prints_the_cost_as_a_ratio(checkout: Path) -> None:
    script = checkout / "benchmarks" / "parse_time" / "run.py"
    run = subprocess.run([sys.executable, str(script), "--runs", "1"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["runs"] == 1
    assert result["ratio"] == round(result["operator_seconds"] / result["sdk_seconds"], 4)
    assert f"ratio {result['ratio']:.3f}" in run.stdout
