"""How an isolated environment is made: what is in it, what it is known by, and what happens when it breaks."""

from __future__ import annotations

import ast
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import distribution, packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nilus
from nilus.environment import EnvironmentSettings, Isolation, prepare
from nilus.environment.python.runtime_needs import OURS, extras_of, runtime_needs
from nilus.errors import DependencyError
from nilus.values.schemes import SCHEMES, TABLE_FORMAT_EXTRAS

PACKAGE = Path(nilus.__file__).parent


def in_environment(environment, program):
    """Run a text with the environment's interpreter; returns what it printed, as JSON."""
    done = subprocess.run(
        [environment.python, "-P", "-c", f"import json, sys\n{program}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment.variables({"PATH": "/usr/bin:/bin"}),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(isolate, text=None, **options):
    with pytest.raises(DependencyError) as caught:
        isolate(text, **options)
    return caught.value


def test_it_holds_dlt_the_sinks_driver_and_the_requirements_and_nothing_of_the_workers(isolate, wheels, make):
    make.write(wheels, make.wheel("plain", "1.0"))

    environment = isolate("plain\n", extras=extras_of("postgresql://host/database"))

    names = {line.partition("==")[0] for line in environment.packages}
    assert {"dlt", "duckdb", "pyarrow", "plain", "psycopg2-binary"} <= names
    assert f"dlt=={version('dlt')}" in environment.packages
    found = in_environment(
        environment,
        "import importlib.metadata as m\n"
        "print(json.dumps([sys.prefix, sorted(d.metadata['Name'] for d in m.distributions()), sys.path]))",
    )
    assert found[0] == str(environment.folder)
    assert {canonicalize_name(name) for name in found[1]} == names
    assert not [entry for entry in found[2] if entry in sys.path and "site-packages" in entry]


def test_without_requirements_and_with_a_file_sink_it_holds_what_nilus_needs(isolate):
    environment = isolate(extras=extras_of("duckdb:////lake.duckdb"))

    assert environment.is_isolated
    assert environment.paths == []
    assert not [line for line in environment.packages if line.startswith(("psycopg2", "apache-airflow", "pydantic"))]


def test_what_the_worker_has_is_preferred_and_never_required(isolate, wheels, make):
    for name in ("packaging", "filelock"):
        make.write(wheels, make.wheel(name, "99.0"))
    make.write(wheels, make.wheel("pydantic", "1.10.99"))

    environment = isolate("packaging>=90\npydantic<2\n")

    assert {"packaging==99.0", f"filelock=={version('filelock')}", "pydantic==1.10.99"} <= set(environment.packages)


def test_lines_for_nilus_are_met_by_what_travels_with_the_source(isolate):
    before = isolate("")

    assert isolate("nilus>=9\nairflow-provider-nilus[postgres]==99\n").packages == before.packages


@pytest.mark.parametrize(
    ("line", "needed"), [("dlt==1.10.0", "dlt[duckdb]<1.32,>=1.31"), ("sqlglot>=30.21", "sqlglot<30.21")]
)
def test_a_requirement_that_contradicts_what_nilus_needs_is_explained(line, needed, isolate, monkeypatch):
    monkeypatch.setattr("nilus.environment.uv.program.find_uv", lambda: "/no/uv/here")

    error = refused(isolate, f"# first\n{line}\n")

    assert error.message == f"requirements.txt:2: {line} contradicts what nilus itself needs, {needed}."
    assert error.found == f"requirements.txt:2: {line}; nilus needs {needed}"
    assert f"change the source's requirements so that {needed} will do" in error.remedy
    assert not error.retryable


def test_a_contradiction_of_a_requirements_own_requirement_is_explained(isolate, wheels, make):
    make.write(wheels, make.wheel("clash", "1.0", requires=["sqlglot>=31"]))
    make.write(wheels, make.wheel("sqlglot", "31.0"))

    error = refused(isolate, "clash\n")

    assert "sqlglot>=31 contradicts what nilus itself needs, sqlglot<30.21" in error.message
    assert "requirements.txt:1 (clash) asks for" in error.message
    assert "uv says: " in error.found


def test_hashes_are_verified_for_the_packages_that_have_them(isolate, wheels, make):
    import hashlib

    made = make.wheel("plain", "1.0")
    make.write(wheels, made)
    right = hashlib.sha256(made[1]).hexdigest()

    assert "plain==1.0" in isolate(f"plain==1.0 --hash=sha256:{right}\n").packages
    assert "hashes" in refused(isolate, f"plain==1.0 --hash=sha256:{'0' * 64}\n").message


def test_the_second_time_it_costs_neither_network_nor_a_process(isolate, monkeypatch):
    first = isolate("")
    monkeypatch.setattr("nilus.environment.uv.program.find_uv", lambda: "/no/uv/here")
    monkeypatch.setattr(subprocess, "Popen", None)

    again = isolate("")

    assert (again.cached, again.folder, again.program) == (True, first.folder, first.program)


def test_everything_in_it_is_compiled_and_read_only(isolate):
    environment = isolate("")

    runtime = Path(environment.program[0])
    assert list(environment.folder.glob("lib/python3.*/site-packages/dlt/__pycache__/__init__.*.pyc"))
    assert list(runtime.glob("nilus/runtime/__pycache__/pipeline.*.pyc"))
    for folder in (environment.folder, runtime):
        assert not [path for path in folder.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o222]


def test_the_log_says_what_was_asked_for_and_how_much_came_with_it(isolate, wheels, make, caplog):
    caplog.set_level(logging.INFO, "nilus.environment")
    make.write(wheels, make.wheel("plain", "1.0"))

    environment = isolate("plain\n")

    said = [record.getMessage() for record in caplog.records if "isolated" in record.getMessage()]
    assert len(said) == 1
    assert f"with plain==1.0, {len(environment.packages)} packages (installed" in said[0]


def test_another_release_of_nilus_travels_without_the_packages_being_installed_again(
    isolate, tmp_path, monkeypatch, checkout
):
    before = isolate("")
    newer = tmp_path / "newer" / "nilus"
    shutil.copytree(PACKAGE, newer, ignore=shutil.ignore_patterns("__pycache__"))
    changed = newer / "values" / "interval.py"
    changed.write_text(changed.read_text() + "\nNEWER = True\n")
    monkeypatch.setattr("nilus.environment.python.runtime_copy._PACKAGE", newer)

    after = isolate("")

    assert (after.cached, after.folder) == (True, before.folder)
    assert after.program != before.program
    program = (
        f"sys.path.insert(0, {after.program[0]!r})\nimport nilus.values.interval\nprint(nilus.values.interval.NEWER)"
    )
    assert in_environment(after, program.replace("print(", "print(json.dumps(") + ")") is True


def test_an_edit_of_what_the_child_never_imports_makes_no_environment_again(isolate, tmp_path, monkeypatch):
    before = isolate("")
    edited = tmp_path / "edited" / "nilus"
    shutil.copytree(PACKAGE, edited, ignore=shutil.ignore_patterns("__pycache__"))
    (edited / "git" / "commands.py").write_text("EDITED = True\n")
    monkeypatch.setattr("nilus.environment.python.runtime_copy._PACKAGE", edited)

    assert isolate("").program == before.program


def test_the_runtime_runs_without_the_workers_packages(isolate):
    environment = isolate("")

    done = subprocess.run(
        [environment.python, "-P", *environment.program, "--help"], capture_output=True, text=True, check=False, env={}
    )

    assert done.returncode == 0, done.stderr
    assert "--events-fd" in done.stdout


@pytest.mark.parametrize("path", ["lib/python3.*/site-packages/dlt/__init__.py", "bin/python", "pyvenv.cfg"])
def test_a_half_deleted_one_is_made_again(path, isolate):
    with isolate("") as first:
        folder = first.folder
    (found,) = folder.glob(path)
    found.parent.chmod(0o755)
    found.unlink()

    again = isolate("")

    assert not again.cached
    assert in_environment(again, "import dlt; print(json.dumps(sys.prefix))") == str(again.folder)


def test_unused_ones_are_removed_and_one_in_use_is_not(checkout, settings, wheels, make):
    for name in ("one", "two", "three"):
        make.write(wheels, make.wheel(name, "1.0"))
    small = EnvironmentSettings(cache_dir=settings.cache_dir, cache_max_bytes=1)

    def get(name):
        (checkout / "requirements.txt").write_text(f"{name}\n")
        return prepare(checkout, checkout=checkout, settings=small, isolation=Isolation(), timeout=120.0)

    first = get("one")
    with get("two") as second:
        assert first.folder.exists()
        assert second.folder.exists()
        first.release()
        with get("three") as third:
            assert not first.folder.exists()
            assert second.folder.exists()
            assert third.folder.exists()


PREPARE = """
import sys
from pathlib import Path
from nilus.environment import EnvironmentSettings, Isolation, prepare
checkout, cache = map(Path, sys.argv[1:3])
settings = EnvironmentSettings(cache_dir=cache, cache_max_bytes=10**9)
with prepare(checkout, checkout=checkout, settings=settings, isolation=Isolation(), timeout=200) as environment:
    print(environment.cached, environment.folder, flush=True)
"""


def start(checkout, settings):
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, checkout, settings.cache_dir],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_twenty_tasks_at_once_build_once(checkout, settings, wheels):
    started = [start(checkout, settings) for _ in range(20)]
    answers = [process.communicate(timeout=200)[0].split() for process in started]

    assert [process.returncode for process in started] == [0] * 20, answers
    assert sorted(answer[0] for answer in answers) == ["False"] + ["True"] * 19
    assert len({answer[1] for answer in answers}) == 1


def test_what_a_killed_task_left_heals(checkout, settings, wheels, make, isolate, monkeypatch):
    with make.running() as index:
        for path in wheels.iterdir():
            index.add((path.name, path.read_bytes()))
        index.add(make.wheel("held", "1.0"))
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.delenv("PIP_NO_INDEX")
        (checkout / "requirements.txt").write_text("held\n")
        # The resolution is known, so that what is held back is the installation.
        index.hold = threading.Event()
        index.hold.set()
        isolate().release()
        for entry in (settings.cache_dir / "envs-v1").glob("*/packages"):
            entry.parent.rename(settings.cache_dir.parent / "away")
        shutil.rmtree(os.environ["UV_CACHE_DIR"])
        index.holding.clear()
        index.hold.clear()
        process = start(checkout, settings)
        end = time.monotonic() + 60
        while not index.holding.is_set():
            assert time.monotonic() < end, "no download began"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        index.hold.set()

        again = isolate()

    assert "held==1.0" in again.packages
    assert in_environment(again, "import held; print(json.dumps(held.version))") == "1.0"


def other_python():
    """An interpreter nilus works with that is not the one that runs this, and its version."""
    own = sys.version_info[:2]
    versions = [f"3.{minor}" for minor in (12, 13, 11, 14) if (3, minor) != own]
    homes = sorted(Path("~root/.pyenv/versions").expanduser().glob("3.*/bin")) if os.geteuid() == 0 else []
    for wanted in versions:
        for folder in [*map(Path, os.environ["PATH"].split(os.pathsep)), *homes]:
            path = folder / f"python{wanted}"
            if folder.name != "shims" and path.exists():
                return wanted, path
    return None


@pytest.fixture
def another_python(monkeypatch):
    """Its version, the only one of its kind that is looked for along `PATH`."""
    found = other_python()
    if found is None:
        pytest.skip("MISSING: another Python than the one that runs the tests, 3.11 or newer (Debian: python3.12)")
    wanted, path = found
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return wanted


def test_another_python_of_the_machine_is_found_by_its_version(isolate, wheels, make, another_python, monkeypatch):
    for name in ("only-there", "only-here"):
        make.write(wheels, make.wheel(name, "1.0"))
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = f"only-there; python_version == '{another_python}'\nonly-here; python_version == '{here}'\n"

    environment = isolate(text, python=another_python)

    assert "only-there==1.0" in environment.packages
    assert "only-here==1.0" not in environment.packages
    program = "import nilus\nprint(json.dumps(['%d.%d' % sys.version_info[:2], sys.prefix]))"
    program = f"sys.path.insert(0, {environment.program[0]!r})\n{program}"
    assert in_environment(environment, program) == [another_python, str(environment.folder)]
    own = isolate(text)
    assert own.folder != environment.folder
    assert own.program != environment.program
    monkeypatch.setattr("nilus.environment.uv.program.find_uv", lambda: "/no/uv/here")
    assert isolate(text, python=another_python).folder == environment.folder


def test_a_python_that_was_replaced_is_looked_at_again(isolate, another_python, tmp_path):
    _, real = other_python()
    link = tmp_path / "python"
    link.symlink_to(real)
    before = isolate("", python=str(link))
    link.unlink()
    link.symlink_to(sys.executable)

    after = isolate("", python=str(link))

    assert before.folder != after.folder
    versions = [in_environment(one, "print(json.dumps(sys.version_info[:2]))") for one in (before, after)]
    assert versions[0] != versions[1] == list(sys.version_info[:2])


def test_the_workers_own_python_may_be_asked_for_by_its_version(isolate):
    own = ".".join(map(str, sys.version_info[:2]))

    assert isolate("", python=own).folder == isolate("").folder


def test_a_python_that_is_not_there_is_told_with_those_that_are(isolate, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys._base_executable).parent}{os.pathsep}/usr/bin{os.pathsep}/bin")

    error = refused(isolate, "", python="3.88")

    assert error.message == "There is no Python 3.88 on this machine."
    assert ".".join(map(str, sys.version_info[:3])) in error.found
    assert "it is never downloaded" in error.remedy
    assert not error.retryable


@pytest.mark.parametrize("python", ["", "2.7", "3", "python3.12", ">=3.12", "pypy@3.11", "-c", "bin/python", 3.12])
def test_what_is_no_version_is_refused(python, isolate):
    if not python:
        assert isolate("", python="").is_isolated
    else:
        assert "The operator's `python` is not known" in refused(isolate, "", python=python).message


def test_a_python_nilus_does_not_work_with_is_refused(isolate, tmp_path):
    program = tmp_path / "python"
    answer = {"identity": [], "base": str(program), "version": "3.9.1", "markers": {}}
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    program.chmod(0o755)

    error = refused(isolate, "", python=str(program))

    assert error.message == "nilus does not work with Python 3.9.1."
    assert ">=3.11" in error.expected


def test_the_driver_of_every_sink_is_an_extra_of_ours():
    assert {name for name, scheme in SCHEMES.items() if scheme.extra is None} == {"duckdb", "file"}
    offered = set(distribution(OURS).metadata.get_all("Provides-Extra"))
    assert {scheme.extra for scheme in SCHEMES.values()} - {None} <= offered


@pytest.mark.parametrize(
    ("addresses", "extras"),
    [
        (("duckdb:////lake",), ()),
        (("postgresql+psycopg2://u:p@h/d", None), ("postgres",)),
        (("POSTGRES://h/d",), ("postgres",)),
        (("file:///lake?table_format=delta",), ("delta",)),
        (("s3://bucket?table_format=delta",), ("delta", "s3")),
        (("snowflake://a/b", "gs://staging"), ("gs", "snowflake")),
        (("iceberg+rest://host",), ("lakehouse",)),
        (("custom://Class",), ()),
    ],
)
def test_extras_are_known_by_the_addresses(addresses, extras):
    assert extras_of(*addresses) == extras


def imported(path):
    """The top-level names a module imports when it runs; not what is there for type checkers alone."""
    tree = ast.parse(path.read_text())
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def runtime_modules():
    """The files of `nilus` that running a source may import."""
    pending = [
        "nilus",
        *(".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts) for p in PACKAGE.rglob("runtime/**/*.py")),
    ]
    seen = {}
    while pending:
        name = pending.pop()
        base = PACKAGE.parent.joinpath(*name.split("."))
        path = next((found for found in (base.with_suffix(".py"), base / "__init__.py") if found.exists()), None)
        if path is None or path in seen:
            continue
        seen[path] = sorted(set(imported(path)))
        pending += [found for found in seen[path] if found.partition(".")[0] == "nilus"]
    return seen


def test_all_that_running_a_source_imports_is_in_an_isolated_environment(closure):
    """Modules of sinks may use what the extras bring, all others must do with what every environment has."""
    owners = packages_distributions()
    everywhere = closure(runtime_needs(()).requirements)
    with_extras = closure(
        runtime_needs(
            sorted({scheme.extra for scheme in SCHEMES.values() if scheme.extra} | set(TABLE_FORMAT_EXTRAS.values()))
        ).requirements
    )
    missing = set()
    for path, names in runtime_modules().items():
        there = with_extras if "sinks" in path.parts else everywhere
        for name in {found.partition(".")[0] for found in names} - {"nilus"} - set(sys.stdlib_module_names):
            packages = {canonicalize_name(owner) for owner in owners.get(name, ())}
            if not packages & there.keys():
                missing.add((path.relative_to(PACKAGE).as_posix(), name))
    assert missing == set()


def test_what_nilus_needs_is_what_its_metadata_say_less_what_the_worker_alone_uses():
    needs = {canonicalize_name(requirement.name) for requirement in runtime_needs(()).requirements}
    stated = {
        canonicalize_name(Requirement(text).name) for text in distribution(OURS).requires if "extra ==" not in text
    }
    assert needs == {name for name in stated if not name.startswith("apache-airflow")} - {
        "gitpython",
        "pydantic",
        "pyyaml",
        "rich",
        "typer",
        "uv",
    }
