"""What a source finds of the packages that were added: all kinds of them, behind the worker's own."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nilus.environment import Environment
from nilus.environment.python.hidden_modules import hidden_modules

Get = Callable[..., Environment]
InChild = Callable[[Environment, str], Any]


def test_a_namespace_package_is_joined_with_the_part_that_is_installed(
    index: Any, make: Any, get: Get, in_child: InChild
) -> None:
    # `airflow.providers` is such a namespace, inside a package that extends its path.
    index.add(make.wheel("spread-one", "1.0", {"spread/one.py": "part = 1\n"}))
    index.add(make.wheel("spread-two", "1.0", {"spread/two.py": "part = 2\n"}))
    index.add(make.wheel("provider-of-tests", "1.0", {"airflow/providers/of_tests/__init__.py": "here = True\n"}))

    environment = get("spread-one\nspread-two\nprovider-of-tests\n")

    program = (
        "from spread import one, two\nfrom airflow.providers import of_tests, standard\n"
        "print(json.dumps([one.part, two.part, of_tests.here, 'site-packages' in standard.__file__]))"
    )
    assert in_child(environment, program) == [1, 2, True, True]


def test_data_files_are_found_beside_their_package(index: Any, make: Any, get: Get, in_child: InChild) -> None:
    files = {"dated/__init__.py": "", "dated/data/table.csv": "a,b\n1,2\n", "dated/data/blob": bytes(range(256))}
    index.add(make.wheel("dated", "1.0", files))

    program = (
        "from importlib.resources import files\nroot = files('dated') / 'data'\n"
        "print(json.dumps([(root / 'table.csv').read_text(), len((root / 'blob').read_bytes())]))"
    )
    assert in_child(get("dated\n"), program) == ["a,b\n1,2\n", 256]


def test_entry_points_and_metadata_are_found(index: Any, make: Any, get: Get, in_child: InChild) -> None:
    entry_points = "[nilus.tests]\nanswer = plugged:answer\n"
    index.add(make.wheel("plugged", "1.0", {"plugged.py": "def answer(): return 42\n"}, entry_points=entry_points))

    program = (
        "from importlib.metadata import entry_points, version\n"
        "(point,) = entry_points(group='nilus.tests')\n"
        "print(json.dumps([point.load()(), version('plugged'), version('dlt')]))"
    )
    answer, plugged, dlt = in_child(get("plugged\n"), program)
    assert (answer, plugged) == (42, "1.0")
    assert dlt.startswith("1.")


def test_pth_files_count_and_what_they_add_stays_behind(index: Any, make: Any, get: Get, in_child: InChild) -> None:
    files = {
        "vendored/inside_pth.py": "here = True\n",
        "vendored/tabulate.py": "here = True\n",
        "pathed.pth": "vendored\nimport sys; sys.pth_was_run = True\n",
    }
    index.add(make.wheel("pathed", "1.0", files))

    program = (
        "import inside_pth, tabulate\n"
        "print(json.dumps([inside_pth.here, sys.pth_was_run, hasattr(tabulate, 'here'), sys.path[-1]]))"
    )
    environment = get("pathed\n")
    assert in_child(environment, program) == [True, True, False, f"{environment.paths[0]}/vendored"]


C_SOURCE = r"""
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "compiled", "", -1, methods};
PyMODINIT_FUNC PyInit_compiled(void) { return PyModule_Create(&module); }
"""


@pytest.fixture
def extension(tmp_path: Path) -> tuple[str, bytes]:
    """A compiled module's file name and content."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if compiler is None or not header.exists():
        pytest.skip("MISSING: a C compiler and Python's headers, for packages with compiled extensions")
    name = f"compiled{sysconfig.get_config_var('EXT_SUFFIX')}"
    (tmp_path / "compiled.c").write_text(C_SOURCE)
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-I{header.parent}", "compiled.c", "-o", name], cwd=tmp_path, check=True
    )
    return name, (tmp_path / name).read_bytes()


def test_compiled_extensions_work(
    extension: tuple[str, bytes], index: Any, make: Any, get: Get, in_child: InChild
) -> None:
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    tag = f"{python}-{python}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    index.add(make.wheel("compiled", "1.0", {extension[0]: extension[1]}, tag=tag))

    assert in_child(get("compiled\n"), "import compiled; print(json.dumps(compiled.answer()))") == 42


def test_airflow_dlt_and_nilus_are_always_the_workers(
    index: Any, make: Any, get: Get, in_child: InChild, caplog: pytest.LogCaptureFixture
) -> None:
    files = {f"{name}/__init__.py": "added = True\n" for name in ("airflow", "dlt", "nilus", "attr")}
    index.add(make.wheel("greedy", "1.0", {**files, "json.py": "added = True\n", "greedy.py": ""}))

    environment = get("greedy\n")

    program = (
        "import airflow, dlt, nilus, attr, json as j, greedy\n"
        "print(json.dumps([hasattr(m, 'added') for m in (airflow, dlt, nilus, attr, j)]))"
    )
    assert in_child(environment, program) == [False] * 5
    warned = {record.getMessage() for record in caplog.records if record.levelname == "WARNING"}
    assert any("adds the module dlt, but" in line and "is installed, and is used" in line for line in warned)
    assert any("adds the module json, but the standard library" in line for line in warned)
    assert not any("greedy," in line for line in warned)


def write(folder: Path, *paths: str, text: str = "") -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.mark.parametrize(
    ("installed", "added", "expected"),
    [
        ("one/__init__.py", "one/__init__.py", "is used"),
        ("one.py", "one/__init__.py", "is used"),
        ("one.cpython-311-x86_64-linux-gnu.so", "one.py", "is used"),
        ("one/__init__.py", "one/part.py", "is used"),
        ("one/part.py", "one/__init__.py", "hides the parts"),
        ("one/part.py", "one/other.py", None),
        ("other/__init__.py", "one/__init__.py", None),
        ("one-1.0.dist-info/METADATA", "one-2.0.dist-info/METADATA", None),
        ("one/__init__.py", "bin/one", None),
    ],
)
def test_a_module_that_hides_another_is_told_of(
    installed: str, added: str, expected: str | None, tmp_path: Path
) -> None:
    write(tmp_path / "worker", installed)
    write(tmp_path / "added", added)

    found = hidden_modules(tmp_path / "added", [str(tmp_path / "missing"), str(tmp_path / "worker")])

    assert list(found) == ([] if expected is None else ["one"])
    assert expected is None or expected in found["one"]


@pytest.mark.parametrize("sharing", ["worker", "added"])
def test_packages_that_share_their_name_hide_nothing(sharing: str, tmp_path: Path) -> None:
    shares = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    write(tmp_path / "worker", "one/__init__.py" if sharing == "worker" else "one/part.py", text=shares)
    write(tmp_path / "added", "one/__init__.py", text=shares)

    assert hidden_modules(tmp_path / "added", [str(tmp_path / "worker")]) == {}


def test_what_is_hidden_is_told_again_when_it_comes_out_of_the_cache(
    index: Any, make: Any, get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    index.add(make.wheel("greedy", "1.0", {"attr/__init__.py": ""}))
    get("greedy\n")
    caplog.clear()
    caplog.set_level(logging.WARNING)
    get("greedy\n")

    assert [record.getMessage().partition(", but")[0] for record in caplog.records] == [
        "sources/requirements.txt adds the module attr"
    ]
