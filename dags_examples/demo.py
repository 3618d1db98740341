"""`make demo`: two DAGs, each run twice, on this machine, without a scheduler.

Makes everything below `.demo/` in the checkout: an Airflow home, git repositories of the example sources, a clone of
this project whose history is loaded, a DuckDB file. Nothing outside is touched, and each call begins anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent
PROJECT = EXAMPLES.parent
DEMO = PROJECT / ".demo"
REPOSITORIES = DEMO / "repositories"
HISTORY_OF = DEMO / "project"
LAKE = DEMO / "lake.duckdb"
LOGS = DEMO / "logs"

AUTHOR = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.com",
}


def git(*arguments: str, folder: Path = PROJECT) -> None:
    """Run git in a folder.

    Raises:
        subprocess.CalledProcessError: git failed.
    """
    subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments],
        cwd=folder,
        env={**os.environ, **AUTHOR},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def prepare() -> None:
    """Make the folders and the repositories."""
    shutil.rmtree(DEMO, ignore_errors=True)
    for folder in sorted(path for path in (EXAMPLES / "sources").iterdir() if path.is_dir()):
        repository = REPOSITORIES / folder.name
        shutil.copytree(folder, repository, ignore=shutil.ignore_patterns("__pycache__"))
        git("init", "--quiet", "--initial-branch=main", folder=repository)
        git("add", "--all", folder=repository)
        git("commit", "--quiet", "--message", "Examples", folder=repository)
    git("clone", "--quiet", PROJECT.as_uri(), str(HISTORY_OF))
    LOGS.mkdir()


def configure() -> None:
    """Point Airflow at the demo's folders; must come before Airflow is imported."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=str(DEMO / "airflow"),
        AIRFLOW__CORE__DAGS_FOLDER=str(EXAMPLES),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
        AIRFLOW__NILUS__CACHE_DIR=str(DEMO / "cache"),
        AIRFLOW__NILUS__ALLOWED_PROTOCOLS="https,ssh,file",
        AIRFLOW_VAR_NILUS_EXAMPLES=REPOSITORIES.as_uri(),
        AIRFLOW_VAR_NILUS_HISTORY_OF=str(HISTORY_OF),
        AIRFLOW_CONN_LAKEHOUSE=json.dumps({"conn_type": "generic", "host": str(LAKE)}),
    )


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send everything this process and its children write into a file for the time of the block."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for target, copy in enumerate(saved, start=1):
                os.dup2(copy, target)
                os.close(copy)


def start_airflow(log: Path) -> None:
    """Make the metadata database and take in the DAGs."""
    with output_to(log):
        from airflow.utils.db import initdb

        initdb()


def run(dag_id: str, log: Path) -> tuple[dict[str, Any], float]:
    """Run a DAG to its end and return what its only task returned, and the seconds it took.

    Raises:
        SystemExit: the run failed.
    """
    from airflow.models import DagBag

    started = time.monotonic()
    with output_to(log):
        dag = DagBag(str(EXAMPLES / f"{dag_id}.py")).dags[dag_id]
        outcome = dag.test()
        instance = outcome.get_task_instances()[0]
        result = instance.xcom_pull(task_ids=instance.task_id)
    if outcome.state != "success":
        sys.exit(f"The DAG {dag_id} ended with the state {outcome.state}: see {log}")
    return result, time.monotonic() - started


def show_run(dag_id: str, number: int, result: dict[str, Any], seconds: float) -> None:
    """Print what a run loaded."""
    rows = ", ".join(f"{table} {count}" for table, count in result["rows"].items()) or "nothing new"
    print(f"{dag_id}, run {number} ({seconds:.1f} s), source at commit {result['commit'][:12]}: {rows}")
    print(f"    state: version {result['state_version']} of {result['state_key']!r}")


def show_tables() -> None:
    """Print the tables of the lake with their first rows."""
    import duckdb
    from rich.console import Console
    from rich.table import Table

    console = Console(width=140)
    with duckdb.connect(str(LAKE), read_only=True) as lake:
        tables = lake.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE NOT starts_with(table_name, '_dlt') AND NOT ends_with(table_schema, '_staging') ORDER BY 1, 2"
        ).fetchall()
        for schema, table in tables:
            name = f'"{schema}"."{table}"'
            ((total,),) = lake.execute(f"SELECT count(*) FROM {name}").fetchall()  # noqa: S608
            print(f"\n{schema}.{table}: {total} rows, the first of them")
            rows = lake.execute(f"SELECT COLUMNS('^([^_]|_[^d])') FROM {name} LIMIT 3")  # noqa: S608
            shown = Table()
            for column in rows.description[:6]:
                shown.add_column(column[0], no_wrap=True, overflow="ellipsis", max_width=32)
            for row in rows.fetchall():
                shown.add_row(*(" ".join(str(value).split()) for value in row[:6]))
            console.print(shown)


def main() -> None:
    """Run the demo."""
    began = time.monotonic()
    prepare()
    configure()
    print("Starting Airflow (a new metadata database takes some seconds) …", flush=True)
    start_airflow(LOGS / "airflow.log")
    for number in (1, 2):
        if number == 2:
            print("\nOne more commit is made in the clone, then both DAGs run again.")
            (HISTORY_OF / "made-by-the-demo.txt").write_text("one line\n")
            git("add", "made-by-the-demo.txt", folder=HISTORY_OF)
            git("commit", "--quiet", "--message", "A commit made by the demo", folder=HISTORY_OF)
        for dag_id in ("random_users", "git_history"):
            result, seconds = run(dag_id, LOGS / f"{dag_id}.run{number}.log")
            show_run(dag_id, number, result, seconds)
    show_tables()
    print(f"\nDuckDB file:  {LAKE.relative_to(PROJECT)}")
    print(f"Airflow home: {(DEMO / 'airflow').relative_to(PROJECT)}")
    print(f"Task logs:    {LOGS.relative_to(PROJECT)}/<dag>.run<number>.log")
    print(f"The demo took {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
