"""Fixtures for every test. The environment is prepared on import: nothing may import Airflow before that."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import isolation
import pytest

_ROOT = isolation.prepare_environment()
_STACK = ExitStack()
_LONGEST = (
    "tests/stories/scheduler/",  # all of it in one process
    "tests/stories/recovery/test_kills.py",
    "tests/stories/isolated_environments/",
    "tests/nilus/runtime/columns/test_generated_resources.py",
    "tests/nilus/runtime/sinks/types/test_type_table.py",
)
"""Files and folders that begin first, so that no process works on one of them alone at the end."""

# In the order of their imports: a module that is imported before it is named here loses assertion rewriting.
pytest_plugins = [
    "airflow_fixture",
    "git_fixture",
    "repository_fixture",
    "deployment_fixture",
    "postgres_fixture",
    "mariadb_fixture",
    "run_fixture",
    "scheduler_fixture",
    "s3_fixture",
    "numbers_fixture",
    "kill_table",
]


def pytest_configure() -> None:
    """Close the network for the whole session, session fixtures included.

    A shell starts what it puts into the background with SIGINT ignored, and children inherit that; tests send it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _STACK.enter_context(isolation.forbid_network())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the files that take longest begin first."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files, and all tests that share the real Airflow to one; mutants one by one."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            if path.startswith("tests/mutants/"):
                return nodeid
            return "tests/stories/scheduler" if path.startswith("tests/stories/scheduler/") else path

    return Files(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what a parallel process measured: it is killed when it takes long to end."""
    if hasattr(session.config, "workerinput"):
        from coverage import Coverage

        if measured := Coverage.current():
            measured.save()


def pytest_unconfigure() -> None:
    """Open the network again and remove the session's folder."""
    _STACK.close()
    isolation.remove(_ROOT)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly which parts were not tested because something is missing on this machine."""
    reasons = {
        str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    }
    missing = sorted(reason.partition("MISSING: ")[2] for reason in reasons if "MISSING: " in reason)
    if missing:
        terminalreporter.write_sep("!", "NOT TESTED ON THIS MACHINE, for want of", red=True, bold=True)
        for reason in missing:
            terminalreporter.write_line(reason, red=True)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty HOME for each test. Fails the test if it left anything of ours there: caches are named by tests."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / ".local" / "share"))
    yield folder
    left = [str(path.relative_to(folder)) for path in folder.rglob("*nilus*")]
    assert not left, f"expected nothing of ours in HOME, found {', '.join(left)}: give the test its own cache folder"
