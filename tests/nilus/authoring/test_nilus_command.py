"""The `nilus` command, as an author of sources types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from airflow_fixture import load_dags
from deployment_fixture import EXAMPLES

NILUS = Path(sys.executable).parent / "nilus"

SHOP = """
import nilus

@nilus.resource(primary_key="id", write_disposition="append")
def orders(token):
    if not token:
        raise ValueError("no token")
    for number in range(5):
        yield {"id": number, "price": 1.5, "note": None}

@nilus.source
def shop(token):
    return orders(token)

class Shop(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return shop(uri.partition("token=")[2])
"""


@pytest.fixture
def nilus(tmp_path):
    """Run the command in a folder of its own and return what came of it."""

    def start(*arguments, code=0, folder=tmp_path, **environ):
        done = subprocess.run(
            [NILUS, *arguments],
            cwd=folder,
            env={**os.environ, "COLUMNS": "200", **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return start


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP)
    return folder


def rows(file, query):
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_a_class_in_a_folder_runs_with_a_limit_into_a_database_of_its_own(nilus, shop, tmp_path):
    said = nilus("run", "custom://Shop?token={TOKEN}", "--base-dir", "shop", "--env", "TOKEN=x1", "--limit", "2")
    assert "orders" in said
    assert "append" in said
    assert rows(tmp_path / ".nilus" / "Shop.duckdb", "SELECT id, price FROM main_data.orders ORDER BY 1") == [
        (0, 1.5),
        (1, 1.5),
    ]


def test_the_second_run_goes_on_where_the_state_file_says(nilus, tmp_path, git_repo):
    project = git_repo({"readme.txt": "one\n"}, name="project")
    arguments = (
        "run",
        f"custom://GitHistory?repository={project.path}",
        "--base-dir",
        str(EXAMPLES / "sources" / "history"),
        "--sink",
        "duckdb:///lake.duckdb",
        "--state-file",
        "kept/state.json",
    )
    assert "(nothing new)" not in nilus(*arguments)
    project.commit({"readme.txt": "two\n"}, "second")
    nilus(*arguments)
    assert "(nothing new)" in nilus(*arguments)
    assert rows(tmp_path / "lake.duckdb", "SELECT count(*) FROM main_data.commits") == [(2,)]
    state = json.loads((tmp_path / "kept" / "state.json").read_text())
    assert state["state"]["git_history"]["resources"]["commits"] == {"tip": project.head}


def test_an_unchanged_workflow_runs_from_the_repository_it_names_without_airflow(nilus, git_repo, shop, tmp_path):
    repository = git_repo({"sources/shop.py": SHOP})
    (tmp_path / "shop.yaml").write_text(
        f"repo: {{url: '{repository.url}', baseDir: sources}}\n"
        "source: {address: 'custom://Shop?token=abc', options: {source-table: orders}}\n"
        "sink: {address: 'dataos://lakehouse', options: {dest-table: raw, incremental-strategy: append}}\n"
    )
    nilus("run", "shop.yaml", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert rows(tmp_path / ".nilus" / "Shop.duckdb", "SELECT count(*) FROM raw.orders") == [(5,)]
    ((commit,),) = rows(tmp_path / ".nilus" / "Shop.duckdb", 'SELECT DISTINCT "commit" FROM raw._airflow_loads')
    assert commit == repository.head


def test_a_check_says_which_tables_and_types_come_out_and_writes_nothing(nilus, shop, tmp_path):
    said = nilus("check", "custom://Shop?token=x", "--base-dir", "shop", "--json")
    findings, _ = json.JSONDecoder().raw_decode(said)
    assert findings["ok"] is True
    assert findings["reading"] == "full"
    columns = findings["tables"]["orders"]["columns"]
    assert (columns["id"], columns["price"]) == ("bigint", "double")
    assert "did not receive any data" in said, "dlt's own words about the column note"
    assert any("every run adds all rows again" in warning for warning in findings["warnings"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop"]


def test_a_check_that_finds_something_says_why_and_fails_for_the_ci(nilus, shop):
    (shop / "requirements.txt").write_text("attrs\n--index-url https://example.com/simple\n")
    said = nilus("check", "custom://Shop?token=", "--base-dir", "shop", "--json", code=1)
    document, _ = json.JSONDecoder().raw_decode(said)
    assert [error["type"] for error in document["refused"]] == ["DependencyError", "SourceError"]
    said = nilus("check", "custom://Shopp", "--base-dir", "shop", code=1)
    assert "Shop" in said
    assert "What to do" in said


def test_what_is_wrong_is_said_without_a_traceback_and_the_exit_code_is_one(nilus, tmp_path):
    (tmp_path / "shop.yaml").write_text("repo: {url: x}\nsource: {adress: custom://Shop}\n")
    said = nilus("run", "shop.yaml", code=1)
    assert "adress" in said
    assert "Traceback" not in said
    assert "no folder" in nilus("run", "custom://Shop", "--base-dir", "nowhere", code=1)


@pytest.mark.parametrize(
    ("ending", "code", "says"),
    [
        ("sys.exit(0)", 1, "The source ended the process instead of returning"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, ""),
    ],
)
def test_a_source_that_ends_the_process_is_told_by_the_exit_code(nilus, shop, tmp_path, ending, code, says):
    source = SHOP.replace("    for number", f"    try:\n        yield {{'id': 0}}\n        {ending}\n    finally:\n"
                          f"        Path('left').touch()\n    for number")  # fmt: skip
    (shop / "shop.py").write_text("import os, signal, sys\nfrom pathlib import Path\n" + source)
    assert says in nilus("run", "custom://Shop?token=x1", "--base-dir", "shop", code=code)
    assert (tmp_path / "left").exists(), "what the source has in `finally` ran"


def test_a_state_file_of_another_source_is_refused(nilus, shop, tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"format": 1, "key": "local.Other.t", "state": {}, "load_ids": []}))
    said = nilus("run", "custom://Shop?token=x", "--base-dir", "shop", "--state-file", "state.json", code=1)
    assert "local.Other.t" in said


def test_a_new_repository_is_checked_run_tested_and_a_dag(nilus, tmp_path, airflow_db):
    said = nilus("new", "shop-orders")
    folder = tmp_path / "shop-orders"
    assert "source/shop_orders.py" in said
    assert "ok" in nilus("check", "custom://ShopOrders", "--base-dir", "source", folder=folder)
    assert "shop_orders" in nilus("run", "dags/shop_orders.yaml", "--base-dir", "source", folder=folder)
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "8 passed" in tested.stdout
    dag = load_dags(folder / "dags" / "shop_orders.py")["shop_orders"]
    assert dag.task_ids == ["load_shop_orders"]


def test_a_folder_with_files_in_it_is_not_touched(nilus, shop):
    before = sorted(shop.iterdir())
    assert "is there already" in nilus("new", "shop", code=1)
    assert sorted(shop.iterdir()) == before


def test_the_command_does_not_import_airflow():
    code = "import sys, nilus.authoring.cli, nilus.authoring.target, nilus.testing; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
