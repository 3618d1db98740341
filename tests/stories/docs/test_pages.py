"""The README and the pages below docs/: what they print works, and what they link to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow_fixture import load_dags

from nilus.workflow.models import Workflow

PROJECT = Path(__file__).resolve().parents[3]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(page.read_text()) if name == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page):
    for target in _LINK.findall(_BLOCK.sub("", page.read_text())):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_python_block_is_python(page):
    for text in blocks(page, "python"):
        compile(text, str(page), "exec")


def test_the_dag_of_the_readme_has_ten_lines_and_is_a_dag(tmp_path, airflow_db):
    (text,) = blocks(PAGES[0], "python")
    file = tmp_path / "orders.py"
    file.write_text(text)
    dag = load_dags(file)["orders"]
    assert dag.task_ids == ["load_orders"]
    assert len(text.strip().splitlines()) <= 11


def test_the_workflow_of_the_readme_is_a_workflow():
    (text,) = blocks(PAGES[0], "yaml")
    workflow = Workflow.parse(text)
    assert workflow.repo.ref == "main"
    assert workflow.sink.dataset == "raw"


def test_every_argument_of_the_operator_is_in_the_readme_s_table():
    import inspect

    from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

    parameters = inspect.signature(NilusCustomSourceOperator.__init__).parameters
    table = PAGES[0].read_text()
    for name in parameters.keys() - {"self", "kwargs"}:
        assert f"`{name}`" in table, name


def test_every_setting_of_the_deployment_is_in_the_table():
    from airflow_provider_nilus.task.settings import CONFIG

    text = (PROJECT / "docs" / "operator.md").read_text()
    for name, option in CONFIG["nilus"]["options"].items():
        assert f"| `{name}` |" in text
        assert option["default"] in text


def test_every_setting_that_a_page_names_exists():
    from airflow_provider_nilus.task.settings import CONFIG

    options = CONFIG["nilus"]["options"]
    for page in PAGES:
        for name in re.findall(r"\[nilus\] (\w+)", page.read_text()):
            assert name in options, f"{page}: [nilus] {name}"


def test_the_targets_of_the_readme_are_in_the_makefile():
    makefile = (PROJECT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"^make (\w+)", page.read_text(), re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_project_speaks_of_itself_alone():
    """No host of a package registry and no path of the machine it was built on."""
    import subprocess

    hosts = "|".join(("py" + "pi\\.org", "python" + "hosted", "registry\\.npm", "deb\\.debian"))
    found = subprocess.run(
        ["git", "grep", "-nIE", f"{hosts}|/work/" + "main|/work/" + "shared", "--", "."],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (1, 128), found.stdout
