"""Programs that added packages bring: found on `PATH` behind the worker's own, and able to import their packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nilus.environment import Environment
from nilus.environment.python import scripts

Get = Callable[..., Environment]


def as_in_a_source(environment: Environment, *command: str, path: str | None = None) -> str:
    """Run a command by its name, with the variables a source's process has; returns what it printed."""
    environ = environment.variables({**os.environ, "PATH": path or os.environ["PATH"]})
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_console_script_is_found_by_its_name_and_imports_its_packages(index: Any, make: Any, get: Get) -> None:
    main = "import json, sys, dlt, helps\ndef main(): print(json.dumps([sys.argv[1:], helps.word, dlt.__version__]))\n"
    index.add(make.wheel("helps", "1.0", {"vendored/helps.py": "word = 'helped'\n", "helps.pth": "vendored\n"}))
    points = "[console_scripts]\nnilus-of-tests = tells:main\n"
    index.add(make.wheel("tells", "1.0", {"tells.py": main}, requires=["helps"], entry_points=points))

    environment = get("tells\n")

    arguments, word, dlt = json.loads(as_in_a_source(environment, "nilus-of-tests", "one", "two"))
    assert (arguments, word) == (["one", "two"], "helped")
    assert dlt.startswith("1.")


def test_scripts_and_programs_of_a_packages_data_run(index: Any, make: Any, get: Get) -> None:
    script = '#!python\n"""Tells."""\nfrom __future__ import annotations\n\nimport spoken\nprint(spoken.word)\n'
    shell = "#!/bin/sh\necho from the shell\n"
    files = {
        "spoken.py": "word = 'spoken'\n",
        "spoken-1.0.data/scripts/nilus-speaks": script,
        "spoken-1.0.data/scripts/nilus-shells": shell,
    }
    index.add(make.wheel("spoken", "1.0", files))

    environment = get("spoken\n")

    assert as_in_a_source(environment, "nilus-speaks") == "spoken"
    assert as_in_a_source(environment, "nilus-shells") == "from the shell"
    assert Path(environment.paths[0], "bin", "nilus-shells").read_text() == shell


def test_the_workers_own_programs_come_first(index: Any, make: Any, get: Get, tmp_path: Path) -> None:
    index.add(make.wheel("both", "1.0", {"both-1.0.data/scripts/nilus-both": "#!/bin/sh\necho added\n"}))
    own = tmp_path / "own"
    own.mkdir()
    (own / "nilus-both").write_text('#!/bin/sh\necho "the worker\'s"\n')
    (own / "nilus-both").chmod(0o755)
    environment = get("both\n")

    path = f"{own}{os.pathsep}{os.environ['PATH']}"
    assert as_in_a_source(environment, "nilus-both", path=path) == "the worker's"
    assert as_in_a_source(environment, "nilus-both") == "added"


def test_without_programs_the_path_is_the_workers(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("plain", "1.0"))

    assert get("plain\n").variables({"PATH": "/bin", "A": "b"}) == {"PATH": "/bin", "A": "b"}
    assert Environment().variables({"A": "b"}) == {"A": "b"}


def test_a_worker_without_a_path_still_has_the_systems_programs(index: Any, make: Any, get: Get) -> None:
    index.add(make.wheel("one", "1.0", {"one-1.0.data/scripts/nilus-one": "#!/bin/sh\necho one\n"}))

    path = get("one\n").variables({})["PATH"].split(os.pathsep)

    assert path[:-1] == os.defpath.split(os.pathsep)
    assert path[-1].endswith("/bin")


@pytest.mark.parametrize(
    "head",
    [
        "",
        "# -*- coding: utf-8 -*-\n",
        '"""A docstring\nof two lines."""\n',
        '"""A docstring."""\nfrom __future__ import annotations\nfrom __future__ import division\n',
        "# a remark\n\n\n",
        "@print\nclass A: pass\n",
        "'''exec' '{python}' \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_python_scripts_keep_their_meaning(head: str, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("word = 'there'\n")
    script = tmp_path / "bin" / "says"
    script.parent.mkdir()
    shell = head.startswith("'''exec'")
    first = "#!/bin/sh\n" if shell else f"#!{sys.executable}\n"
    script.write_text(first + head.replace("{python}", sys.executable) + "import beside\nprint(beside.word)\n")
    script.chmod(0o755)

    scripts.complete(tmp_path)

    done = subprocess.run([str(script)], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "there"


@pytest.mark.parametrize(
    "content",
    [b"#!/bin/sh\necho python\n", b"#!/bin/sh\npython\n", b"\x7fELF\0\0python", b"#!/usr/bin/perl\n1;\n", b""],
)
def test_what_is_no_python_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "program"
    program.parent.mkdir()
    program.write_bytes(content)

    scripts.complete(tmp_path)

    assert program.read_bytes() == content
