"""`nilus` is dlt by another name."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import dlt
import pytest

import nilus


def in_fresh_interpreter(program: str) -> str:
    """Run `program` in an interpreter of its own and return what it printed."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def public_names_of_dlt() -> list[str]:
    listed = [name for name in dlt.__all__ if hasattr(dlt, name)]
    return sorted({*listed, *(name for name in dir(dlt) if not name.startswith("_"))})


@pytest.mark.parametrize("name", public_names_of_dlt())
def test_every_public_name_of_dlt_is_the_same_object_on_nilus(name: str) -> None:
    assert getattr(nilus, name) is getattr(dlt, name)
    assert name in dir(nilus)


def test_a_name_that_dlt_lists_but_does_not_have_is_an_attribute_error() -> None:
    absent = [name for name in dlt.__all__ if not hasattr(dlt, name)]
    for name in [*absent, "no_such_name"]:
        with pytest.raises(AttributeError, match="alias of dlt"):
            getattr(nilus, name)


def test_a_star_import_gives_all_of_dlt_and_the_base_classes() -> None:
    names: dict[str, object] = {}
    exec("from nilus import *", names)
    assert {*public_names_of_dlt(), "CustomSource", "CustomDestination"} <= names.keys()


@pytest.mark.parametrize(
    "statement",
    [
        "import nilus, nilus.errors",
        "from nilus import errors",
        "from nilus import CustomSource, CustomDestination, errors\nclass S(CustomSource): pass",
        "import nilus.protocol.job, nilus.protocol.events",
    ],
)
def test_importing_our_own_parts_leaves_dlt_out(statement: str) -> None:
    heavy = ["dlt", "duckdb", "pyarrow", "git", "airflow"]
    printed = in_fresh_interpreter(
        f"import sys, json\n{statement}\nprint(json.dumps([m for m in {heavy} if m in sys.modules]))"
    )
    assert json.loads(printed) == []


def test_asking_for_a_private_name_leaves_dlt_out() -> None:
    printed = in_fresh_interpreter(
        "import sys, nilus\n"
        "assert not hasattr(nilus, '_private') and not hasattr(nilus, '__wrapped__')\n"
        "print('dlt' in sys.modules)"
    )
    assert printed == "False"


@pytest.mark.parametrize(
    "name",
    [
        "common",
        "common.typing",
        "common.pendulum",
        "common.schema.utils",
        "sources",
        "sources.helpers",
        "sources.helpers.requests",
        "sources.rest_api",
        "sources.rest_api.config_setup",
        "destinations",
        "destinations.impl.duckdb.duck",
        "extract.resource",
        "pipeline",
    ],
)
def test_a_submodule_of_nilus_is_the_module_of_dlt(name: str) -> None:
    assert importlib.import_module(f"nilus.{name}") is importlib.import_module(f"dlt.{name}")


def test_no_module_of_dlt_is_loaded_twice_and_each_keeps_its_own_name() -> None:
    printed = in_fresh_interpreter(
        "import json, sys\n"
        "import nilus.sources.rest_api.typing, nilus.sources.helpers.requests\n"
        "from nilus.sources.rest_api import rest_api_source\n"
        "import nilus.destinations.impl.duckdb.duck, nilus.extract.incremental.transform\n"
        "import dlt.sources.rest_api\n"
        "assert rest_api_source is dlt.sources.rest_api.rest_api_source\n"
        "aliased = {n: m for n, m in sys.modules.items() if n.startswith('nilus.') and m.__name__.startswith('dlt')}\n"
        "assert 'nilus.sources.rest_api' in aliased\n"
        "wrong = [n for n, m in aliased.items() if m is not sys.modules['dlt' + n[5:]]]\n"
        "wrong += [n for n, m in aliased.items() if m.__spec__.name != m.__name__ or m.__name__ != 'dlt' + n[5:]]\n"
        "by_file = {}\n"
        "for m in sys.modules.values():\n"
        "    by_file.setdefault(getattr(m, '__file__', None), set()).add(id(m))\n"
        "wrong += [f for f, ids in by_file.items() if f and '/dlt/' in f and len(ids) > 1]\n"
        "print(json.dumps(wrong))"
    )
    assert json.loads(printed) == []


def test_importing_an_alias_does_not_change_what_dlt_has_bound() -> None:
    # dlt.common.pendulum, the attribute, is the library; there is also a module of that name.
    printed = in_fresh_interpreter(
        "import nilus.common.pendulum\n"
        "import dlt, pendulum\n"
        "from nilus.common import pendulum as ours\n"
        "assert ours is pendulum and dlt.common.pendulum is pendulum and nilus.common.pendulum is pendulum\n"
        "print(ours.now('UTC').timezone_name)"
    )
    assert printed == "UTC"


def test_what_users_import_is_what_dlt_has() -> None:
    from dlt.common.typing import TDataItem as TheirItem
    from dlt.sources.helpers import requests as their_requests
    from nilus.common.typing import TDataItem
    from nilus.sources.helpers import requests

    assert TDataItem is TheirItem
    assert requests is their_requests


def test_our_own_modules_come_before_dlts_of_the_same_name() -> None:
    for name in ("errors", "runtime", "custom_source"):
        module = importlib.import_module(f"nilus.{name}")
        assert module.__name__ == f"nilus.{name}"
        assert getattr(nilus, name) is module


def test_a_module_that_neither_has_is_not_found() -> None:
    for name in ("nilus.no_such_module", "nilus.sources.no_such_module"):
        with pytest.raises(ModuleNotFoundError, match=name):
            importlib.import_module(name)


def test_an_import_error_inside_dlt_is_shown_as_it_is(tmp_path: Path) -> None:
    printed = in_fresh_interpreter(
        "import sys\n"
        "sys.modules['snowflake'] = None\n"
        "try:\n    import nilus.destinations.impl.snowflake.sql_client\n"
        "except Exception as error: print(type(error).__name__, 'nilus' in str(error))"
    )
    assert printed.split()[-1] == "False"


def test_threads_that_import_an_alias_at_once_all_get_dlts_module() -> None:
    printed = in_fresh_interpreter(
        "import importlib, sys, threading\n"
        "import nilus\n"
        "barrier, got = threading.Barrier(8), []\n"
        "def run():\n"
        "    barrier.wait(); got.append(importlib.import_module('nilus.sources.rest_api'))\n"
        "threads = [threading.Thread(target=run) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(len(got), all(m is sys.modules['dlt.sources.rest_api'] for m in got))"
    )
    assert printed == "8 True"


def test_a_type_checker_knows_the_names(tmp_path: Path) -> None:
    program = tmp_path / "typed.py"
    program.write_text(
        "import nilus\n"
        "reveal_type(nilus.resource)\n"
        "reveal_type(nilus.CustomSource)\n"
        "reveal_type(nilus.current)\n"
        "nilus.no_such_name\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", str(program)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "Overload" in done.stdout, done.stdout
    assert "def () -> nilus.custom_source.CustomSource" in done.stdout
    assert 'Module has no attribute "no_such_name"' in done.stdout
    assert 'Revealed type is "Any"' not in done.stdout


def test_the_base_class_is_under_its_makers_path_too() -> None:
    program = (
        "from nilus.src.custom_source import CustomSource; import nilus; print(CustomSource is nilus.CustomSource)"
    )
    assert in_fresh_interpreter(program) == "True"
