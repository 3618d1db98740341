"""Airflow's user interface in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git_fixture import GitRepository
from git_server_fixture import GitServer, running_git_server
from packaging.version import Version
from postgres_fixture import PostgresServer, connect
from scheduler_fixture import RealAirflow, running_airflow

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
IMAGES = HERE.parents[1] / "docs" / "images"
_IMAGE_BYTES = 150_000
_SIZE = {"width": 1280, "height": 800}


@dataclass
class Shop:
    """What the Airflow of these tests is deployed with.

    Attributes:
        airflow: the Airflow.
        postgres: the server of its metadata database.
        git: the server that has the sources, behind a login.
        token: what opens that server.
        hidden: what must never be shown.
    """

    airflow: RealAirflow
    postgres: PostgresServer
    git: GitServer
    token: str
    hidden: tuple[str, ...]

    @property
    def sources(self) -> str:
        """The address of the sources' repository. Names below `localhost` are this machine, for git as for Airflow."""
        return f"http://github.localhost:{self.git.port}/shop/sources.git"

    def stored(self, conn_id: str) -> dict[str, Any]:
        """Return what the metadata database holds of a connection; nothing in it is encrypted."""
        with closing(connect(self.airflow.database)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT host, login, password, extra FROM connection WHERE conn_id = %s", (conn_id,))
            host, login, password, extra = cursor.fetchone()
        return {"host": host, "login": login, "password": password, "extra": json.loads(extra or "{}")}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium that reaches nothing beyond this machine; skipped where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("MISSING: chromium (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="MISSING: playwright (pip install playwright)")
    # Chromium's sandbox refuses root, which tests in containers are.
    arguments = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shop(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A running Airflow with a DAG whose source is on a git server."""
    if Version(version("apache-airflow-core")) < Version("3.3"):
        pytest.skip("the pages are those of Airflow 3.3; earlier ones are arranged differently")
    root = tmp_path_factory.mktemp("ui")
    sources = GitRepository(root / "sources")
    sources.path.mkdir()
    sources.git("init", "--quiet", "--template=", "--initial-branch=main")
    shutil.copytree(HERE / "sources", sources.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    sources.commit(message="first")
    token, api_token = secrets.token_hex(12), secrets.token_hex(12)
    with ExitStack() as stack:
        git = stack.enter_context(running_git_server())
        git.serve(sources, "shop/sources")
        git.login = ("reader", token)
        shop = Shop(None, postgres, git, token, (token, api_token, "pl41n-t3xt-key"))  # type: ignore[arg-type]
        connections = {
            "sources": {"conn_type": "nilus_repository", "host": shop.sources, "login": "reader", "password": token},
            "shop_api": {"conn_type": "generic", "password": api_token},
            "lake": {"conn_type": "nilus", "extra": {"address": f"duckdb:///{root}/lake.duckdb"}},
        }
        environ = {
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__NILUS__CACHE_DIR": str(root / "cache"),
            "AIRFLOW__NILUS__ALLOWED_PROTOCOLS": "https,ssh,http",
            "AIRFLOW_VAR_SHOP_SOURCES": shop.sources,
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
        }
        shop.airflow = stack.enter_context(running_airflow(postgres, environ))
        yield shop


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Iterator[Page]:
    """An empty tab; addresses are below Airflow's."""
    context = browser.new_context(base_url=shop.airflow.url, viewport=_SIZE, locale="en-US", timezone_id="UTC")
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def keep_image(page: Page, tmp_path: Path) -> Callable[..., None]:
    """`keep_image(name)`: an image of the page, for the documentation if WRITE_IMAGES is set."""

    def keep(name: str, height: int = 800) -> None:
        page.set_viewport_size({**_SIZE, "height": height})
        page.wait_for_load_state("networkidle")
        is_kept = bool(os.environ.get("WRITE_IMAGES"))
        file = (IMAGES if is_kept else tmp_path) / f"{name}.png"
        page.screenshot(path=file, animations="disabled")
        assert not is_kept or file.stat().st_size <= _IMAGE_BYTES

    return keep
