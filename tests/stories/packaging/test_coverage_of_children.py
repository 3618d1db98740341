"""Coverage counts what runs in child processes, started the way the operator starts them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

# The child's environment is the worker's less Airflow's and Python's own variables; `-P` keeps its folder off sys.path.
PARENT = """
import os, subprocess, sys
env = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW") and k not in ("PYTHONPATH", "PYTHONHOME")}
child = subprocess.Popen([sys.executable, "-P", "-c", sys.argv[1]], env=env, stdout=subprocess.PIPE,
                         cwd=sys.argv[2], start_new_session=True)
child.stdout.readline()
if sys.argv[3] == "term":
    child.terminate()
child.wait()
"""
ENDINGS = {
    "return": "print(flush=True)",
    "exit": "import os; print(flush=True); os._exit(3)",
    "term": "import time; print(flush=True); time.sleep(60)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_child_is_measured_however_it_ends(checkout: Path, tmp_path: Path, ending: str) -> None:
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    (tmp_path / "scratch").mkdir()
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    child = f"import nilus.errors; nilus.errors.NilusError('x').as_dict(); {ENDINGS[ending]}"
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    arguments = [str(script), child, str(tmp_path / "scratch"), ending]
    run = subprocess.run(
        [sys.executable, "-m", "coverage", "run", *arguments],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    measured = coverage.Coverage(data_file=str(tmp_path / ".coverage"), config_file=False)
    measured.combine([str(tmp_path)])
    data = measured.get_data()
    (errors,) = (name for name in data.measured_files() if name.endswith("nilus/errors.py"))
    lines = set(data.lines(errors) or [])
    source = Path(errors).read_text().splitlines()
    body = next(n for n, line in enumerate(source, 1) if '"type": type(self).__name__' in line)
    assert lines & {body, body - 1}, f"as_dict ran in the child, but only {sorted(lines)} were measured"
