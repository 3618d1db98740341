"""The benchmark beside it runs, and its ratios are those of its own seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "checkout" / "run.py"


@pytest.mark.soak
def test_the_benchmark_prints_every_way_and_the_ratios() -> None:
    run = subprocess.run([sys.executable, str(SCRIPT), "--tasks", "3", "--runs", "1"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shown = json.loads(run.stdout.splitlines()[-1])

    results = {(result["way"], result["tasks"], result["kind"]): result for result in shown["results"]}
    ways = ("nilus by branch", "nilus by hash", "clone", "shallow", "git-sync")
    assert set(results) == {(way, tasks, kind) for way in ways for tasks in (1, 3) for kind in ("cold", "warm")}
    for name, ratio in shown["ratios"].items():
        ways_of, kind, tasks = name.split(", ")
        other, ours = (results[way, int(tasks), kind]["seconds"] for way in ways_of.split(" / "))
        assert ratio == round(other / ours, 2)
    assert len(shown["ratios"]) == 3 * 2 * 2 * 2

    # What the ratios come from: how often the server was asked.
    assert results["nilus by hash", 3, "cold"]["requests"] == results["nilus by hash", 1, "cold"]["requests"]
    assert results["nilus by hash", 3, "warm"]["requests"] == 0
    assert results["nilus by branch", 3, "warm"]["megabytes"] < 0.1 * results["git-sync", 3, "warm"]["megabytes"]
    assert results["clone", 3, "cold"]["requests"] == 3 * results["clone", 1, "cold"]["requests"]
