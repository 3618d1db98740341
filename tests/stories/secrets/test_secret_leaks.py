"""The token or passphrase for a repository is nowhere but where it has to be, whatever becomes of the run.

Airflow's masker is switched off here: what is not written cannot be forgotten by it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sqlite3
import stat
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from deployment_fixture import Deployment
from git_fixture import GitRepository

USER = "leak-user"
# The passphrase of the key too. Random: Airflow keeps the text of the DAG's file, which is this one.
TOKEN = f"""le'ak "quoted" $HOME `x` 100%41 a@b:c/d;{secrets.token_hex(8)}"""

SOURCE = """
import json, os
import nilus
from pathlib import Path

Path({seen!r}).write_text(json.dumps([dict(os.environ), Path("/proc/self/cmdline").read_text()]))

@nilus.resource
def rows():
    {body}

class Leaky(nilus.CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return rows()
"""


def forms(secret: str) -> set[str]:
    """Every form of a secret that is looked for."""
    plain = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], secret.replace('"', "&quot;")}
    texts = (secret, f"{USER}:{secret}", f"git:{secret}")
    data = {encode(text.encode()).decode() for text in texts for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return plain | data | {quote(secret), quote(secret, safe=""), quote_plus(secret)}


class Watch(threading.Thread):
    """Looks at the arguments of all processes and at the files of the cache, all the time."""

    def __init__(self, cache: Path) -> None:
        super().__init__(daemon=True)
        self._cache = cache
        self._done = threading.Event()
        self.arguments: set[str] = set()
        self.files: dict[str, str] = {}

    def run(self) -> None:
        while not self._done.wait(0.005):
            self._look()

    def stop(self) -> None:
        self._done.set()
        self.join(30)
        self._look()

    def _look(self) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                self.arguments.add((process / "cmdline").read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue
        for folder, _, names in os.walk(self._cache):
            for name in names:
                path = Path(folder, name)
                try:
                    self.files[str(path.relative_to(self._cache))] = path.read_bytes().decode("utf-8", "replace")
                except OSError:
                    continue


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of every git, ssh and env that is started, however short it lives."""
    log, folder = tmp_path / "commands", tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "ssh", "env"):
        real = shutil.which(name)
        (folder / name).write_text(f"#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >> '{log}'\nexec '{real}' \"$@\"\n")
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.fixture
def no_masker(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk._shared.secrets_masker import SecretsMasker

    monkeypatch.setattr(SecretsMasker, "redact", lambda self, item, *_, **__: item)


def cells(database: Path) -> Iterator[tuple[str, str]]:
    """Yield (table and column, text) of everything in the metadata database."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    yield (
                        f"{table}.{name}",
                        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value),
                    )


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Everything an error and what it came from can show."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        yield "".join(traceback.format_exception(error))
        error = error.__cause__ or error.__context__


class Run:
    """A run of a DAG with one task, and everything that could be read of it."""

    def __init__(self, outcome: Any, places: list[tuple[str, str]]) -> None:
        self.state = outcome.task("load").state
        self.tries = outcome.task("load").try_number
        self.error = "".join(map(str, outcome.task("load").errors))
        self._places = places

    def where(self, *texts: str) -> set[str]:
        return {place for place, text in self._places for wanted in texts if wanted in text}


Load = Callable[..., Run]


@pytest.fixture
def load(
    run_dag: Any,
    deployment: Deployment,
    no_masker: None,
    commands: Path,
    airflow_home: Path,
    airflow_metadata: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Load:
    """Runs the source once and collects what was left of the run anywhere."""
    from airflow.sdk import DAG

    from airflow_provider_nilus.operators.custom_source import NilusCustomSourceOperator

    def load(url: str, **arguments: Any) -> Run:
        caplog.set_level("DEBUG")
        repo = {"url": url, **arguments.pop("repo", {})}
        with DAG("leaks", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
            NilusCustomSourceOperator(
                task_id="load",
                repo=repo,
                source={"address": "custom://Leaky", "options": {"source-table": "t"}},
                sink={"address": "dataos://lakehouse", "options": {"dest-table": "raw"}},
                **arguments,
            )
        watch = Watch(deployment.cache)
        watch.start()
        outcome = run_dag(dag)
        watch.stop()
        shown = capfd.readouterr()
        seen = tmp_path / "seen"
        places = [
            ("log records", "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)),
            ("standard output", shown.out),
            ("standard error", shown.err),
            *(("log files", file.read_text()) for file in (airflow_home / "logs").rglob("*") if file.is_file()),
            *(("arguments of processes", text) for text in watch.arguments),
            ("arguments of git, ssh and env", commands.read_text() if commands.exists() else ""),
            *((f"cache {name}", text) for name, text in watch.files.items()),
            *cells(airflow_metadata),
            *(("database file", file.read_bytes().decode("latin-1")) for file in airflow_home.glob("airflow.db*")),
            *(("exceptions", text) for error in outcome.task("load").errors for text in texts_of(error)),
            ("XCom", json.dumps(outcome.task("load").xcoms, default=str)),
            ("environment and arguments of the source", seen.read_text() if seen.exists() else ""),
        ]
        return Run(outcome, places)

    return load


@pytest.fixture
def repository(git_repo: Callable[..., GitRepository], tmp_path: Path) -> GitRepository:
    return git_repo({"leaky.py": SOURCE.format(seen=str(tmp_path / "seen"), body='yield {"n": 1}')}, name="leaky")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def connection(**fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_LEAKY", json.dumps({"conn_type": "git", **fields}))

    return connection


@pytest.fixture
def server(git_server: Any, repository: GitRepository) -> Any:
    git_server.serve(repository, "leaky")
    git_server.login = (USER, TOKEN)
    return git_server


# What is wrong with the server: what it is told to be, and what the error then says.
SERVER_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "wrong token": ({"login": (USER, "another")}, "did not let us in"),
    "status 403": ({"status": 403}, "did not let us in"),
    "status 404": ({"status": 404}, "no such repository"),
    "status 500": ({"status": 500}, "the server failed"),
    "redirect": ({"redirect_to": "http://127.0.0.1:9"}, "redirects to another address"),
    "truncate": ({"truncate": True}, "connection broke"),
}
# What is wrong with the task: further arguments of the operator.
TASK_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "wrong ref": ({"repo": {"ref": "mian"}}, "no branch or tag named"),
    "wrong commit": ({"repo": {"ref": "0" * 40}}, "has no commit"),
    "other commit": ({"expected_commit": "0" * 40}, "not at the expected commit"),
    "wrong folder": ({"repo": {"base_dir": "nothing"}}, "baseDir"),
}


@pytest.mark.parametrize("way", ["connection", "source_env"])
def test_a_token_shows_up_nowhere_when_all_goes_well(
    load: Load, server: Any, connection: Callable[..., None], way: str
) -> None:
    connection(login=USER, password=TOKEN)
    env = {"GITSYNC_USERNAME": USER, "GITSYNC_PASSWORD": "{{ conn.leaky.password }}"}
    arguments: dict[str, Any] = {"git_conn_id": "leaky"} if way == "connection" else {"source_env": env}

    run = load(server.url("leaky"), **arguments)

    assert run.state == "success", run.error
    told = {"environment and arguments of the source"} if way == "source_env" else set()
    assert run.where(*forms(TOKEN)) == told, "what the author gives to the source, the source has"
    # The search finds what is there, and all of these were searched.
    url = server.url("leaky")
    assert run.where(url) > {
        "log records",
        "arguments of git, ssh and env",
        "rendered_task_instance_fields.rendered_fields",
        "xcom.value",
        "database file",
        "XCom",
    }
    assert any(place.endswith(".git/config") for place in run.where(url))
    assert {"arguments of processes"} <= run.where("nilus.runtime")
    assert {"arguments of processes"} <= run.where("remote-http"), "git's own helper was seen"
    if way == "source_env":
        assert "rendered_task_instance_fields.rendered_fields" in run.where("GITSYNC_PASSWORD")


@pytest.mark.parametrize("fault", SERVER_FAULTS)
def test_a_token_shows_up_nowhere_when_something_is_wrong_with_the_server(
    load: Load, server: Any, connection: Callable[..., None], fault: str
) -> None:
    connection(login=USER, password=TOKEN)
    attributes, words = SERVER_FAULTS[fault]
    for name, value in attributes.items():
        setattr(server, name, value)

    run = load(server.url("leaky"), git_conn_id="leaky")

    assert run.state == "failed"
    assert words in run.error
    assert run.where(*forms(TOKEN)) == set()
    named = f"127.0.0.1:{server.port} was given the credential of the Airflow connection 'leaky'"
    assert (named in run.error) == (fault in ("wrong token", "status 403", "status 404"))


@pytest.mark.parametrize("fault", TASK_FAULTS)
def test_a_token_shows_up_nowhere_when_something_is_wrong_with_the_task(
    load: Load, server: Any, connection: Callable[..., None], fault: str
) -> None:
    connection(login=USER, password=TOKEN)
    arguments, words = TASK_FAULTS[fault]

    run = load(server.url("leaky"), git_conn_id="leaky", **arguments)

    assert run.state == "failed"
    assert words in run.error
    assert run.where(*forms(TOKEN)) == set()


def test_a_token_shows_up_nowhere_when_time_is_up(load: Load, server: Any, connection: Callable[..., None]) -> None:
    connection(login=USER, password=TOKEN)
    server.hold = threading.Event()

    run = load(server.url("leaky"), git_conn_id="leaky", repo={"sync_timeout": 2})

    assert "within 2 seconds" in run.error
    assert server.holding.is_set()
    assert run.where(*forms(TOKEN)) == set()


def test_a_token_shows_up_nowhere_when_the_source_fails(
    load: Load, server: Any, repository: GitRepository, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(login=USER, password=TOKEN)
    body = 'raise RuntimeError("the words of the source")'
    repository.commit({"leaky.py": SOURCE.format(seen=str(tmp_path / "seen"), body=body)})

    run = load(server.url("leaky"), git_conn_id="leaky")

    assert "the words of the source" in run.error
    assert run.where(*forms(TOKEN)) == set()


def test_a_token_shows_up_nowhere_when_the_repository_is_not_allowed(
    load: Load, server: Any, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(login=USER, password=TOKEN)
    monkeypatch.setenv("AIRFLOW__NILUS__ALLOWED_REPOSITORIES", "https://example.com/*")

    run = load(server.url("leaky"), git_conn_id="leaky")

    assert "does not run code from" in run.error
    assert run.where(*forms(TOKEN)) == set()
    assert server.requests == []


def test_a_token_that_cannot_be_one_shows_up_nowhere(load: Load, server: Any, connection: Callable[..., None]) -> None:
    connection(login=USER, password=f"{TOKEN}\nsecond line")

    run = load(server.url("leaky"), git_conn_id="leaky")

    assert "line break" in run.error
    assert "the Airflow connection 'leaky'" in run.error
    assert run.where(*forms(TOKEN)) == set()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("none", ""),
        ("key not known", "did not let us in"),
        ("wrong passphrase", "did not let us in"),
        ("host key not known", "SSH host key is not known"),
        ("no such repository", "no such repository"),
        ("server away", "no connection"),
        ("wrong ref", "no branch or tag named"),
    ],
)
def test_a_key_and_its_passphrase_show_up_nowhere(
    load: Load, ssh_server: Any, repository: GitRepository, connection: Callable[..., None], fault: str, words: str
) -> None:
    passphrase = "right, but not this one" if fault == "wrong passphrase" else TOKEN
    key = ssh_server.key(passphrase=passphrase, authorized=fault != "key not known")
    known_hosts = ssh_server.folder / "nothing" if fault == "host key not known" else ssh_server.known_hosts
    connection(
        extra={
            "private_key": key.read_text(),
            "private_key_passphrase": TOKEN,
            "known_hosts_file": str(known_hosts),
            "strict_host_key_checking": "yes",
        }
    )
    if fault == "server away":
        ssh_server.stop()
    path = repository.path / "nothing" if fault == "no such repository" else repository.path

    run = load(ssh_server.url(path), git_conn_id="leaky", repo={"ref": "mian" if fault == "wrong ref" else "main"})

    assert run.state == ("failed" if words else "success"), run.error
    assert words in run.error
    lines = [line for line in key.read_text().splitlines() if not line.startswith("-----")]
    assert run.where(*forms(TOKEN), *lines) == set()
    assert "arguments of git, ssh and env" in run.where("BatchMode", "PasswordAuthentication=no")


def test_wrong_credentials_are_tried_once_and_a_server_that_fails_is_asked_again(
    load: Load, server: Any, connection: Callable[..., None]
) -> None:
    connection(login=USER, password="another")

    run = load(server.url("leaky"), git_conn_id="leaky", retries=2)

    assert (run.state, run.tries) == ("failed", 1)
    assert server.count("ls-refs") == 0


def test_airflow_s_masker_knows_every_form(
    server: Any, connection: Callable[..., None], deployment: Deployment
) -> None:
    """Should one be printed by somebody else, such as the source."""
    from airflow.sdk.log import redact

    from airflow_provider_nilus.hooks.custom_source import NilusHook
    from nilus.workflow.models import Repo

    connection(login=USER, password=TOKEN)
    NilusHook(git_conn_id="leaky").materialise(Repo(url=server.url("leaky"))).release()

    for form in (TOKEN, quote(TOKEN, safe=""), base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()):
        assert form not in str(redact(f"before {form} after"))
