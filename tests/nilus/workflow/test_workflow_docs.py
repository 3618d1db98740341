"""The page about the workflow says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nilus.workflow.models import Partition, Repo, Sink, Source, Workflow

PAGE = (Path(__file__).parents[3] / "docs" / "workflow.md").read_text(encoding="utf-8")
DOCUMENTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_on_the_page_is_a_workflow(document):
    assert Workflow.parse(document).source.address.startswith("custom://MyCustomSource")


def test_the_page_has_documents_and_snippets():
    assert len(DOCUMENTS) == 3
    assert len(SNIPPETS) == 1


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_on_the_page_runs(snippet):
    exec(compile(snippet, "docs/workflow.md", "exec"), {})


@pytest.mark.parametrize("model", [Repo, Source, Partition, Sink])
def test_every_key_is_on_the_page(model):
    missing = [key for key in model.keys() - {"sql", "options"} if f"`{key}`" not in PAGE]
    assert missing == []


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("depth", "`1`"),
        ("submodules", "`off`"),
        ("sync-timeout", "`120`"),
        ("page-size", "`50000`"),
        ("extract-parallelism", "`5`"),
        ("incremental-strategy", "`replace`"),
        ("loader-file-size", "`100000`"),
    ],
)
def test_the_defaults_on_the_page_are_those_of_the_models(make, key, default):
    display = Workflow.parse(make()).redacted()
    values = {**display["repo"], **display["source"]["options"], **display["sink"]["options"]}
    assert f"| `{key}` | {default} |" in PAGE
    assert f"`{values[key]}`" == default


def test_the_error_on_the_page_is_the_one_that_comes(make, problems):
    text = problems(make(source={"page_size": "many"}, sink={"incremental-stratgy": "append"}))
    for line in re.search(r"```text\n(.*?)```", PAGE, re.DOTALL).group(1).splitlines():
        assert line in text
