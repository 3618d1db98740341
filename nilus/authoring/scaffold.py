"""`nilus new`: a small repository to begin from."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from string import Template

from nilus.errors import SourceError

_SOURCE = '''"""$title, read page by page, and only what has changed since the last run."""

import nilus
from nilus import CustomSource

# Takes the place of an API until you have one.
ROWS = [
    {"id": 1, "name": "first", "updated_at": "2026-01-01T00:00:00Z"},
    {"id": 2, "name": "second", "updated_at": "2026-01-02T00:00:00Z"},
    {"id": 3, "name": "third", "updated_at": "2026-01-03T00:00:00Z"},
]


@nilus.resource(name="$name", primary_key="id", write_disposition="merge")
def $name():
    state = nilus.current.resource_state()
    since = state.get("updated_at", "")
    for row in sorted(ROWS, key=lambda row: row["updated_at"]):
        if row["updated_at"] > since:
            yield row
            state["updated_at"] = row["updated_at"]


@nilus.source(name="$name")
def ${name}_source():
    return $name


class $class_name(CustomSource):
    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, **kwargs):
        return ${name}_source()
'''

_WORKFLOW = """repo:
  url: "https://git.example.com/data/$name"  # where you push this folder to
  syncFlags: ["--ref=main"]
  baseDir: "source"
source:
  address: custom://$class_name
  options:
    source-table: "$name"
sink:
  address: dataos://lakehouse  # the Airflow connection with the id "lakehouse"
  options:
    dest-table: "$name"
    incremental-strategy: append
"""

_TEST = '''"""$class_name keeps what every source should keep, and what this one promises."""

from pathlib import Path

from nilus.testing import SourceTests

SOURCE = Path(__file__).parent.parent / "source"


class Test$class_name(SourceTests):
    base_dir = SOURCE
    address = "custom://$class_name"
    table = "$name"


def test_every_row_has_a_name(run_source):
    run = run_source("custom://$class_name", base_dir=SOURCE, table="$name")
    assert run.error == ""
    assert all(row["name"] for row in run.rows("$name"))
'''

_DAG = '''"""Loads $name once an hour."""

from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

with DAG("$name", schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, doc_md=__doc__):
    # A task without doc_md of its own shows the source's docstring, among its rendered templates, once it has run.
    NilusCustomSourceOperator(task_id="load_$name", workflow="$name.yaml")
'''

_README = """# $title

| file | what it is |
|---|---|
| `source/$name.py` | the source: the class `$class_name` |
| `dags/$name.yaml` | the workflow: which source, into which sink |
| `tests/test_$name.py` | its tests |
| `dags/$name.py` | the DAG that runs it |

```bash
nilus check custom://$class_name --base-dir source      # what comes out, and what would be refused
nilus run dags/$name.yaml --base-dir source             # into .nilus/$class_name.duckdb
pytest tests
```

Packages that the source needs and the workers do not have go into `source/requirements.txt`.
"""

_FILES = {
    "README.md": _README,
    "dags/$name.yaml": _WORKFLOW,
    "source/$name.py": _SOURCE,
    "tests/test_$name.py": _TEST,
    "dags/$name.py": _DAG,
    ".gitignore": ".nilus/\n__pycache__/\n",
}


def create(name: str, folder: Path | None = None) -> Path:
    """Make the repository's files; the folder arrives whole or not at all.

    Args:
        name: what the source reads: `orders`, `shop-orders`.
        folder: where to make it; default a folder of that name in the working directory.

    Returns:
        The folder.

    Raises:
        SourceError: the name cannot be one, or the folder is there and not empty.
    """
    words = re.findall(r"[A-Za-z0-9]+", name)
    identifier = "_".join(word.lower() for word in words)
    if not identifier.isidentifier():
        raise SourceError(
            "The name cannot be that of a source",
            expected="letters and digits, beginning with a letter, for example orders or shop-orders",
            found=repr(name),
            remedy="choose another name",
        )
    folder = (folder or Path(name)).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SourceError(
            f"{folder} is there already",
            expected="a folder that is new or empty",
            found="a file" if not folder.is_dir() else "a folder with files in it",
            remedy="name another one with --folder",
        )
    values = {
        "name": identifier,
        "class_name": "".join(word[0].upper() + word[1:] for word in words),
        "title": " ".join(words).capitalize(),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for path, text in _FILES.items():
            file = staged / Template(path).substitute(values)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(values), encoding="utf-8")
        staged.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        staged.rename(folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return folder
